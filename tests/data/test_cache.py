# SPDX-License-Identifier: MIT
"""The cache: private, checked by checksum, and emptied of an image in whatever array it lies."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedlethe.data import cache as module
from fedlethe.data.cache import TRIES, image_id, index_of, is_whole
from fedlethe.data.decoded_arrays import cached_archive
from fedlethe.data.holdings import clear, holdings
from fedlethe.errors import DataError, FedletheError
from fedlethe.files import sha256_of
from tests.data.pictures import SCANS, images_of


def test_a_flipped_byte_is_not_trained_on(cache: Path, folder: Path) -> None:
    right = np.array(images_of(folder))
    (array,) = (cache / "images").glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-700] ^= 1
    array.write_bytes(content)  # size and header are as they were
    np.testing.assert_array_equal(images_of(folder), right)
    assert hashlib.sha256(array.read_bytes()).hexdigest() != hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("times", [1, TRIES])
def test_an_array_that_another_command_removes_is_made_again(
    times: int, ending: str, cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = module._write, list[Path]()

    def written_and_removed(path: Path, *args: Any) -> None:
        write(path, *args)
        written.append(path)
        if len(written) <= times:
            path.with_suffix(ending).unlink()

    right = np.array(images_of(folder))
    clear(None)
    monkeypatch.setattr(module, "_write", written_and_removed)
    if times < TRIES:
        np.testing.assert_array_equal(images_of(folder), right)
        return
    with pytest.raises(DataError, match=f"other commands on this cache removed it {TRIES} times.*; run this one again"):
        images_of(folder)


def test_an_array_that_goes_while_it_is_read_is_not_there(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = np.array(images_of(folder))
    (array,) = (cache / "images").glob("*.npy")

    def removed_and_hashed(path: Path) -> str:
        monkeypatch.setattr(module, "sha256_of", sha256_of)
        path.unlink()
        return sha256_of(path)

    monkeypatch.setattr(module, "sha256_of", removed_and_hashed)
    module._content.cache_clear()
    np.testing.assert_array_equal(images_of(folder), right)
    monkeypatch.setattr(module, "sha256_of", removed_and_hashed)
    assert not is_whole(array)


def test_a_damaged_index_is_no_index(cache: Path, folder: Path) -> None:
    images_of(folder)
    (array,) = (cache / "images").glob("*.npy")
    known = index_of(array)
    assert known is not None
    place = array.with_suffix(".json")
    place.write_text(place.read_text().replace(known.rows[2], "0" * 32))
    assert index_of(array) is None
    images_of(folder)
    assert index_of(array) is not None


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o710])
@pytest.mark.parametrize("kind", ["", "images"])
def test_a_cache_that_others_can_enter_is_refused(mode: int, kind: str, cache: Path, folder: Path) -> None:
    images_of(folder)
    (cache / kind).chmod(mode)
    with pytest.raises(FedletheError, match=f"mode {mode:04o}.*run: chmod 700") as raised:
        images_of(folder)
    assert "\n" not in str(raised.value)
    with pytest.raises(FedletheError, match="chmod 700"):
        clear(None)
    (cache / kind).chmod(0o700)
    images_of(folder)


def test_a_cache_of_another_user_is_refused(cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images_of(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(FedletheError, match=r"belongs to another user.*set FEDLETHE_CACHE"):
        images_of(folder)


def test_all_files_are_their_owner_s_alone(cache: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        images_of(folder)
    finally:
        os.umask(before)
    modes = {path.relative_to(cache).parts[0]: path.stat().st_mode & 0o777 for path in cache.rglob("*.*")}
    assert modes == {"images": 0o600, "hashes": 0o600}
    assert {path.stat().st_mode & 0o777 for path in (cache, cache / "images", cache / "hashes")} == {0o700}


def test_an_image_has_one_identity_in_files_and_archive_at_every_size(
    cache: Path, folder: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in SCANS:
            archive.write(folder / name, f"inner/{name}")
    images_of(folder, *SCANS[:4])
    images_of(folder, *SCANS[2:], size=8)
    cached_archive(tmp_path / "all.zip", [f"inner/{name}" for name in reversed(SCANS)], size=8, channels=3)
    third = image_id(hashlib.sha256((folder / SCANS[2]).read_bytes()).hexdigest())
    places: dict[tuple[int, ...], int] = {(1, 16, 16): 2, (1, 8, 8): 0, (3, 8, 8): 3}
    assert {held.shape: held.rows.index(third) for held in holdings() if held.rows} == places
    first = image_id(hashlib.sha256((folder / SCANS[0]).read_bytes()).hexdigest())
    clear({first})
    assert [held.shape for held in holdings()] == [(1, 8, 8)]  # the only one that it is not in; no list of names either
    clear({third})
    assert holdings() == []
    assert not [path for path in cache.rglob("*") if path.is_file()]
