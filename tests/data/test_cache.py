# SPDX-License-Identifier: MIT
"""The cache: private, checked by checksum, and emptied of an image in whatever array it lies."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.cache import cache_place, identity, index_of
from fedlethe.data.erased import ErasedImages, array_of, blanking, identities, scrub
from fedlethe.data.federated import LabelledImages
from fedlethe.data.holdings import beyond_reach, clear, holdings
from fedlethe.data.images import Pixels, cached_archive, cached_files, content_hashes, only_named
from fedlethe.data.partition import Partition, divide
from fedlethe.errors import FedletheError

NAMES = [f"scan-{number}.png" for number in range(6)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place, generator = tmp_path / "data", np.random.default_rng(0)
    place.mkdir()
    for name in NAMES:
        Image.fromarray(generator.integers(0, 256, (16, 16)).astype(np.uint8)).save(place / name)
        os.utime(place / name, (1e9, 1e9))
    return place


def of(folder: Path, *names: str, size: int = 16) -> Pixels:
    return cached_files(folder, names or NAMES, size=size, channels=1)[0]


def test_a_flipped_byte_is_not_trained_on(cache: Path, folder: Path) -> None:
    right = np.array(of(folder))
    (array,) = (cache / "images").glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-700] ^= 1
    array.write_bytes(content)  # size and header are as they were
    np.testing.assert_array_equal(of(folder), right)
    assert hashlib.sha256(array.read_bytes()).hexdigest() != hashlib.sha256(content).hexdigest()


def test_a_damaged_index_is_no_index(cache: Path, folder: Path) -> None:
    of(folder)
    (array,) = (cache / "images").glob("*.npy")
    known = index_of(array)
    assert known is not None
    place = array.with_suffix(".json")
    place.write_text(place.read_text().replace(known.rows[2], "0" * 32))
    assert index_of(array) is None
    of(folder)
    assert index_of(array) is not None


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o710])
@pytest.mark.parametrize("kind", ["", "images"])
def test_a_cache_that_others_can_enter_is_refused(mode: int, kind: str, cache: Path, folder: Path) -> None:
    of(folder)
    (cache / kind).chmod(mode)
    with pytest.raises(FedletheError, match=f"mode {mode:04o}.*run: chmod 700") as raised:
        of(folder)
    assert "\n" not in str(raised.value)
    with pytest.raises(FedletheError, match="chmod 700"):
        clear(None)
    (cache / kind).chmod(0o700)
    of(folder)


def test_a_cache_of_another_user_is_refused(cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(FedletheError, match=r"belongs to another user.*set FEDLETHE_CACHE"):
        of(folder)


def test_all_files_are_their_owner_s_alone(cache: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        of(folder)
    finally:
        os.umask(before)
    modes = {path.relative_to(cache).parts[0]: path.stat().st_mode & 0o777 for path in cache.rglob("*.*")}
    assert modes == {"images": 0o600, "hashes": 0o600}
    assert {path.stat().st_mode & 0o777 for path in (cache, cache / "images", cache / "hashes")} == {0o700}


def test_an_image_has_one_identity_in_files_and_archive_at_every_size(
    cache: Path, folder: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in NAMES:
            archive.write(folder / name, f"inner/{name}")
    of(folder, *NAMES[:4])
    of(folder, *NAMES[2:], size=8)
    cached_archive(tmp_path / "all.zip", [f"inner/{name}" for name in reversed(NAMES)], size=8, channels=3)
    third = identity(hashlib.sha256((folder / NAMES[2]).read_bytes()).hexdigest())
    places: dict[tuple[int, ...], int] = {(1, 16, 16): 2, (1, 8, 8): 0, (3, 8, 8): 3}
    assert {held.shape: held.rows.index(third) for held in holdings() if held.rows} == places
    first = identity(hashlib.sha256((folder / NAMES[0]).read_bytes()).hexdigest())
    clear({first})
    assert [held.shape for held in holdings()] == [(1, 8, 8)]  # the only one that it is not in; no list of names either
    clear({third})
    assert holdings() == []
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_erasing_takes_every_array_and_keeps_a_blank_copy(cache: Path, folder: Path) -> None:
    whole = np.array(of(folder))
    of(folder, *NAMES[:3])
    of(folder, size=32)
    stranger = cache_place("images", "older.npy")
    np.save(stranger, whole)  # of an earlier version: no index says what it holds
    array = array_of(of(folder))
    gone = ErasedImages(array=array, rows=(1, 4))
    assert set(identities(gone) or ()) == {
        identity(content) for content in np.array(content_hashes(folder, NAMES))[[1, 4]].tolist()
    }
    scrub([gone])
    (kept,) = (cache / "images").glob("*.npy")
    assert not list((cache / "hashes").iterdir())
    copy = np.load(kept)
    assert not copy[[1, 4]].any()
    np.testing.assert_array_equal(copy[[0, 2, 3, 5]], whole[[0, 2, 3, 5]])
    with blanking([gone]):
        np.testing.assert_array_equal(of(folder), copy)
    held = "".join(path.read_text() for path in cache.rglob("*.json"))
    assert NAMES[0] in held
    assert NAMES[1] not in held
    assert NAMES[4] not in held
    scrub([gone])  # a second time, as after a kill
    assert list((cache / "images").glob("*.npy")) == [kept]


def test_a_damaged_array_is_not_copied(cache: Path, folder: Path) -> None:
    whole, array = np.array(of(folder)), array_of(of(folder))
    (path,) = (cache / "images").glob("*.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    gone = ErasedImages(array=array, rows=(0,))
    scrub([gone])
    with blanking([gone]):
        np.testing.assert_array_equal(of(folder)[1:], whole[1:])


def test_where_it_cannot_be_told_whose_they_are_all_go(cache: Path, folder: Path) -> None:
    array = array_of(of(folder))
    of(folder, size=32)
    for path in (cache / "images").glob(f"{array}*"):
        path.unlink()
    gone = ErasedImages(array=array, rows=(1,))
    assert identities(gone) is None
    scrub([gone])
    assert holdings() == []


def test_what_another_process_has_open_is_named(cache: Path, folder: Path) -> None:
    of(folder)
    (path,) = (cache / "images").glob("*.npy")
    script = f"import numpy, sys; held = numpy.load({str(path)!r}, mmap_mode='r'); print('on', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "on\n"
        told = beyond_reach(None)
        other.communicate("\n")
    assert told[0] == f"{path}: process {other.pid} has it open, and with it its content until it ends"
    assert [words for words in beyond_reach(None) if "has it open" in words] == []


def test_naming_decodes_and_writes_nothing(cache: Path, folder: Path) -> None:
    (folder / NAMES[3]).write_bytes(b"no image")
    with only_named() as named:
        assert not of(folder).any()
    assert named == [tuple(identity(hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in NAMES)]
    assert not [path for path in cache.rglob("*") if path.is_file()]


def _sites(generator: np.random.Generator, count: int) -> LabelledImages:
    sites = np.array(["a", "b", "c"])[np.arange(count) % 3]
    return LabelledImages(
        images=generator.integers(0, 256, (count, 1, 8, 8)).astype(np.uint8),
        labels=np.arange(count) // 3 % 2,
        classes=("no", "yes"),
        fingerprint="f",
        sites=sites,
        groups=np.array([f"{site}{row // 12}" for row, site in enumerate(sites)]),
    )


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_a_client_are_all_of_its_images_thinned_and_public_ones_too(seed: int) -> None:
    images = _sites(np.random.default_rng(seed), 120)
    assert images.sites is not None
    assert images.groups is not None
    data = divide(images, Partition(max_examples=6, public_fraction=0.2), seed)
    assert data.public is not None
    assert len(data.public)
    assert data.rows_of("b").tolist() == np.flatnonzero(images.sites == "b").tolist()
    assert data.rows_of("b", ["b3"]).tolist() == np.flatnonzero(images.groups == "b3").tolist()
    with pytest.raises(FedletheError, match="patient 'a3' has no image at b"):
        data.rows_of("b", ["a3"])
    with pytest.raises(FedletheError, match="client 'd' is not in this federation"):
        data.rows_of("d")
    simulated = divide(images, Partition(scheme="iid", clients=3, public_fraction=0.2), seed)
    assert simulated.public is not None
    owned = np.concatenate([simulated.rows_of(client) for client in simulated.clients])
    assert sorted([*owned.tolist(), *simulated.public.indices.tolist()]) == list(range(120))
