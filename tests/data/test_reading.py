# SPDX-License-Identifier: MIT
"""A reading is kept by every source of fedlethe's own, and by one from outside that reads through the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedlethe.data import DATASETS
from fedlethe.data.cache import image_id, origins
from fedlethe.data.covid_radiography import CovidRadiography
from fedlethe.data.eight_bits import Pixels
from fedlethe.data.erased import array_of
from fedlethe.data.federated import LabelledImages, Source
from fedlethe.data.images import read_image
from fedlethe.data.isic2019 import Isic2019
from fedlethe.data.medmnist import MedMnist
from fedlethe.data.outside_source import OutsideSource
from fedlethe.data.phantom import Phantom
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.data.table import Table
from fedlethe.outside.deferred import Outside
from tests.data.pictures import SCANS, blocks, images_of, png
from tests.data.test_isic2019 import write_images, write_tables
from tests.data.test_medmnist import write as write_medmnist
from tests.data.test_table import ROWS
from tests.data.test_table import write as write_table


def _covid(root: Path) -> Source:
    for number, name in enumerate(("COVID", "Normal")):
        for image in range(3):
            png(blocks(90 + 10 * number + image), root / name / f"{image}.png")
    return CovidRadiography(root=root, size=8)


def _isic(layout: str) -> Callable[[Path], Source]:
    def made(root: Path) -> Source:
        write_tables(root)
        write_images(root, layout)
        return Isic2019(root=root, size=8)

    return made


def _medmnist(root: Path) -> Source:
    write_medmnist(root / "breastmnist.npz")
    return MedMnist(flag="breastmnist", root=root)


def _phantom(root: Path) -> Source:
    return Phantom(hospitals=2, images_per_hospital=4, size=16)


def _table(root: Path) -> Source:
    return Table(path=write_table(root, ROWS), size=8)


MADE: list[tuple[str, Callable[[Path], Source]]] = [
    ("covid-radiography", _covid),
    ("isic2019", _isic("folder")),
    ("isic2019", _isic("zip")),
    ("medmnist", _medmnist),
    ("phantom", _phantom),
    ("table", _table),
]

own = pytest.mark.parametrize(
    "made", [made for _, made in MADE], ids=[f"{n}-{name}" for n, (name, _) in enumerate(MADE)]
)

GONE = 1
"""The row that is erased; it is not blank in any of the sources above."""


@pytest.fixture(autouse=True)
def _own_cache(cache: Path) -> None:
    """Every test has a cache of its own."""


def _without(images: npt.NDArray[Any]) -> Reading:
    array = array_of(images)
    assert array is not None
    return Reading(blank={array: frozenset({GONE})})


def _settled(folder: Path) -> None:
    """Have the files' hashes kept: those of files that were just written are not."""
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))


def _emptied(cache: Path) -> None:
    for path in (cache / "images").iterdir():
        path.unlink()


def test_every_source_of_fedlethes_own_is_held_to_it() -> None:
    assert {name for name, _ in MADE} == set(DATASETS) - {"nodes"}  # which has no images


@own
def test_rows_that_are_to_stay_blank_are_not_decoded(
    tmp_path: Path, cache: Path, made: Callable[[Path], Source]
) -> None:
    (tmp_path / "source").mkdir()
    source = made(tmp_path / "source")
    _settled(tmp_path / "source")
    whole = source.load()
    expected, reading = np.array(whole.images), _without(whole.images)
    assert expected[GONE].any()
    expected[GONE] = 0
    _emptied(cache)
    read = source.load(reading)
    np.testing.assert_array_equal(read.images, expected)
    assert read.fingerprint == whole.fingerprint
    assert [np.load(path)[GONE].any() for path in (cache / "images").glob("*.npy")] == [False]


@own
def test_naming_tells_what_the_index_would_and_writes_nothing(
    tmp_path: Path, cache: Path, made: Callable[[Path], Source]
) -> None:
    (tmp_path / "source").mkdir()
    source = made(tmp_path / "source")
    _settled(tmp_path / "source")
    read = source.load(Reading(only_named=True)).images
    assert not read.any()
    assert not [path for path in cache.rglob("*") if path.is_file()]
    rows = np.arange(len(read))
    assert origins(read, rows) == origins(source.load().images, rows)


def test_naming_decodes_and_writes_nothing(cache: Path, folder: Path) -> None:
    (folder / SCANS[3]).write_bytes(b"no image")
    read = images_of(folder, reading=Reading(only_named=True))
    assert not read.any()
    named = [origins(read, np.arange(len(SCANS)))]
    assert named == [tuple(image_id(hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in SCANS)]
    assert not [path for path in cache.rglob("*") if path.is_file()]


# From outside


@dataclass(frozen=True)
class Plain:
    """Reads through fedlethe's cache, and knows of no reading."""

    path: str

    def load(self) -> LabelledImages:
        return Table(path=Path(self.path), size=8).load()


@dataclass(frozen=True)
class HandsOn:
    """Takes a reading and hands it on."""

    path: str

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        return Table(path=Path(self.path), size=8).load(reading)


def _outside(kind: type, path: Path) -> OutsideSource:
    options = {"path": str(path)}
    return OutsideSource(outside=Outside(registry=DATASETS, name=f"{__name__}:{kind.__name__}", options=options))


@pytest.mark.parametrize("kind", [Plain, HandsOn])
@pytest.mark.parametrize("shared", [False, True])
def test_a_source_from_outside_leaves_no_erased_image_in_the_cache(
    tmp_path: Path, cache: Path, kind: type, shared: bool
) -> None:
    source = _outside(kind, write_table(tmp_path, ROWS))
    _settled(tmp_path / "a")
    whole = source.load().images
    expected, reading = np.array(whole), _without(whole)
    expected[GONE] = 0
    if not shared:
        _emptied(cache)
    for _ in range(2):
        np.testing.assert_array_equal(source.load(reading).images, expected)
        held = [bool(np.load(path)[GONE].any()) for path in (cache / "images").glob("*.npy")]
        assert sorted(held) == ([False, True] if shared else [False])  # another run's whole array stays
        assert not [path for path in (cache / "hashes").iterdir() if "a/1.png" in path.read_text()]


@pytest.mark.parametrize("kind", [Plain, HandsOn])
@pytest.mark.parametrize("shared", [False, True])
def test_a_source_from_outside_is_named_and_leaves_the_cache_as_it_is(
    tmp_path: Path, cache: Path, kind: type, shared: bool
) -> None:
    source = _outside(kind, write_table(tmp_path, ROWS))
    _settled(tmp_path / "a")
    whole = source.load().images
    expected = origins(whole, np.arange(len(whole)))
    if not shared:
        _emptied(cache)
    before = sorted((cache / "images").iterdir())
    read = source.load(Reading(only_named=True)).images
    assert not read.any()
    assert origins(read, np.arange(len(read))) == expected
    assert sorted((cache / "images").iterdir()) == before


def test_a_source_from_outside_that_takes_a_reading_decodes_no_erased_image(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_table(tmp_path, ROWS)
    reading = _without(_outside(HandsOn, path).load().images)
    _emptied(cache)
    seen = list[str]()

    def read(file: Path, **options: Any) -> Pixels:
        seen.append(file.name)
        return read_image(file, **options)

    monkeypatch.setattr("fedlethe.data.decoded_arrays.read_image", read)
    _outside(HandsOn, path).load(reading)
    assert sorted(seen) == ["0.png", "2.png", "3.png"]
