# SPDX-License-Identifier: MIT
import io
import zipfile

import numpy as np
import pytest

from fedlethe.data.unreadable import UNREADABLE, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "x.png"), "No such file or directory"),
        (OSError("broken data stream"), "broken data stream"),
        (ValueError("first line\nsecond line"), "first line"),
        (RuntimeError("Unable to decode:\n  missing plugin\n more"), "Unable to decode: missing plugin"),
        (RuntimeError("ends in a colon:"), "ends in a colon:"),
        (KeyError(), "KeyError"),
        (ValueError("  "), "ValueError"),
    ],
)
def test_a_reason_is_one_line_and_never_empty(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_what_a_cut_or_flipped_archive_raises_is_known(compression: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.arange(300) % 7)
    whole, refused = file.getvalue(), 0
    cut = [whole[: len(whole) * part // 20] for part in range(20)]
    places = np.random.default_rng(0).integers(0, len(whole), 60).tolist()
    flipped = [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in places]
    for content in (*cut, *flipped):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("a.npy") as member:
                np.lib.format.read_array(member, allow_pickle=False)
        except UNREADABLE:  # noqa: PERF203
            refused += 1
    assert refused >= 20
