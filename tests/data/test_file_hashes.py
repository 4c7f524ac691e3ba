# SPDX-License-Identifier: MIT
import json
import os
from pathlib import Path

import pytest

from fedlethe.data.file_hashes import content_hashes
from tests.data.pictures import blocks, folder_of, png


def test_a_file_that_was_just_written_is_hashed_again(tmp_path: Path, cache: Path) -> None:
    png(blocks(1), tmp_path / "a" / "x.png")
    stat = (tmp_path / "a" / "x.png").stat()
    before = content_hashes(tmp_path / "a", ["x.png"])
    png(blocks(2), tmp_path / "a" / "x.png")  # as long as the first
    os.utime(tmp_path / "a" / "x.png", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert content_hashes(tmp_path / "a", ["x.png"]) != before


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"0.png": "x", "1.png": [1]})])
def test_damaged_hashes_are_made_again(tmp_path: Path, cache: Path, text: str) -> None:
    names = folder_of(tmp_path / "a")
    before = content_hashes(tmp_path / "a", names)
    (place,) = (cache / "hashes").iterdir()
    place.write_text(text)
    assert content_hashes(tmp_path / "a", names) == before
