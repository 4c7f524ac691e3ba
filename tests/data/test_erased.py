# SPDX-License-Identifier: MIT
"""Images that were erased are blank in every array, and decoded for the run never again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fedlethe.data import erased as module
from fedlethe.data.cache import cache_place, image_id
from fedlethe.data.erased import ErasedImages, array_of, identities, reading_without, scrub
from fedlethe.data.file_hashes import content_hashes
from fedlethe.data.holdings import holdings
from fedlethe.errors import DataError
from tests.data.pictures import SCANS, images_of


def test_erasing_takes_every_array_and_keeps_a_blank_copy(cache: Path, folder: Path) -> None:
    whole = np.array(images_of(folder))
    images_of(folder, *SCANS[:3])
    images_of(folder, size=32)
    stranger = cache_place("images", "older.npy")
    np.save(stranger, whole)  # of an earlier version: no index says what it holds
    array = array_of(images_of(folder))
    gone = ErasedImages(array=array, rows=(1, 4))
    assert set(identities(gone) or ()) == {
        image_id(content) for content in np.array(content_hashes(folder, SCANS))[[1, 4]].tolist()
    }
    scrub([gone])
    (kept,) = (cache / "images").glob("*.npy")
    assert not list((cache / "hashes").iterdir())
    copy = np.load(kept)
    assert not copy[[1, 4]].any()
    np.testing.assert_array_equal(copy[[0, 2, 3, 5]], whole[[0, 2, 3, 5]])
    np.testing.assert_array_equal(images_of(folder, reading=reading_without([gone])), copy)
    held = "".join(path.read_text() for path in cache.rglob("*.json"))
    assert SCANS[0] in held
    assert SCANS[1] not in held
    assert SCANS[4] not in held
    scrub([gone])  # a second time, as after a kill
    assert list((cache / "images").glob("*.npy")) == [kept]


@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_an_array_that_another_command_takes_while_it_is_copied_is_told_in_a_line(
    ending: str, cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = ErasedImages(array=array_of(images_of(folder)), rows=(1, 4))

    def whole_and_taken(array: Path) -> bool:
        array.with_suffix(ending).unlink()
        return True

    with monkeypatch.context() as patch:
        patch.setattr(module, "is_whole", whole_and_taken)
        with pytest.raises(DataError, match=r"\.npy: another command took it .* just now; run this one again$"):
            scrub([gone])
    scrub([gone])
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_damaged_array_is_not_copied(cache: Path, folder: Path) -> None:
    whole, array = np.array(images_of(folder)), array_of(images_of(folder))
    (path,) = (cache / "images").glob("*.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    gone = ErasedImages(array=array, rows=(0,))
    scrub([gone])
    np.testing.assert_array_equal(images_of(folder, reading=reading_without([gone]))[1:], whole[1:])


def test_where_it_cannot_be_told_whose_they_are_all_go(cache: Path, folder: Path) -> None:
    array = array_of(images_of(folder))
    images_of(folder, size=32)
    for path in (cache / "images").glob(f"{array}*"):
        path.unlink()
    gone = ErasedImages(array=array, rows=(1,))
    assert identities(gone) is None
    scrub([gone])
    assert holdings() == []
