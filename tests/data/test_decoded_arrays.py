# SPDX-License-Identifier: MIT
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedlethe.data.decoded_arrays import cached_archive, cached_files
from fedlethe.errors import FedletheError
from tests.data.pictures import blocks, folder_of, png


def test_cached_images_are_a_read_only_map_in_the_order_asked_for(tmp_path: Path, cache: Path) -> None:
    folder_of(tmp_path / "a", 100)
    pixels, _ = cached_files(tmp_path / "a", ["3.png", "1.png"], size=8, channels=1)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert pixels[:, 0, 0, 0].tolist() == [30, 10]
    many, _ = cached_files(tmp_path / "a", [f"{i}.png" for i in range(25)] * 4, size=8, channels=3)
    assert many[:, 2, 7, 7].tolist() == [10 * i for i in range(25)] * 4


def test_a_second_start_neither_reads_nor_decodes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = folder_of(tmp_path / "a")
    first, fingerprint = cached_files(tmp_path / "a", names, size=8, channels=1)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("was read again")

    monkeypatch.setattr("fedlethe.data.file_hashes.sha256_of", never)
    monkeypatch.setattr("fedlethe.data.decoded_arrays.read_image", never)
    again, same = cached_files(tmp_path / "a", names, size=8, channels=1)
    assert same == fingerprint
    assert np.array_equal(first, again)


def test_the_fingerprint_depends_on_content_and_not_on_place(tmp_path: Path, cache: Path) -> None:
    for place in ("a", "b"):
        names = folder_of(tmp_path / place)
    fingerprints = [cached_files(tmp_path / place, names, size=8, channels=1)[1] for place in ("a", "b")]
    assert fingerprints[0] == fingerprints[1]
    png(blocks(99), tmp_path / "b" / names[0])
    changed, fingerprint = cached_files(tmp_path / "b", names, size=8, channels=1)
    assert fingerprint != fingerprints[0]
    assert changed[0, 0, 0, 0] == 99
    assert cached_files(tmp_path / "a", names, size=9, channels=1)[1] != fingerprints[0]
    assert cached_files(tmp_path / "a", names, size=8, channels=1, fit="crop")[1] != fingerprints[0]


@pytest.mark.parametrize("damage", ["truncated", "empty", "longer", "text"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, cache: Path, damage: str) -> None:
    names = folder_of(tmp_path / "a")
    cached_files(tmp_path / "a", names, size=8, channels=1)
    (array,) = (cache / "images").glob("*.npy")
    whole = array.read_bytes()
    array.write_bytes({"truncated": whole[:-100], "empty": b"", "longer": whole + b"x", "text": b"text"}[damage])
    pixels, _ = cached_files(tmp_path / "a", names, size=8, channels=1)
    assert pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert array.read_bytes() == whole


def test_a_bad_image_leaves_no_cache_behind(tmp_path: Path, cache: Path) -> None:
    names = folder_of(tmp_path / "a")
    (tmp_path / "a" / "3.png").write_bytes(b"")
    with pytest.raises(FedletheError, match=r"3\.png: the image is empty"):
        cached_files(tmp_path / "a", names, size=8, channels=1)
    assert list((cache / "images").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = folder_of(tmp_path / "a")
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FedletheError, match=r"file/cache.*cannot be made.*FEDLETHE_CACHE"):
        cached_files(tmp_path / "a", names, size=8, channels=1)


def test_a_broken_archive_is_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(FedletheError, match=r"x\.zip: cannot be read as an archive"):
        cached_archive(tmp_path / "x.zip", ["a.png"], size=8, channels=1)
