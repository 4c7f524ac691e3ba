# SPDX-License-Identifier: MIT
"""What the cache holds, found by what it was made of."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.data import holdings as module
from fedlethe.data.cache import UNKNOWN, Index, image_id, index_of
from fedlethe.data.holdings import IMAGES, NAMES, Holding, beyond_reach, clear, holdings
from tests.data.pictures import SCANS, images_of


def test_what_another_process_has_open_is_named(cache: Path, folder: Path) -> None:
    images_of(folder)
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


def test_what_is_there_is_told_with_what_it_was_made_of(cache: Path, folder: Path) -> None:
    images_of(folder, *SCANS[:2])
    array, names = holdings()
    assert (array.kind, array.source, array.shape, array.blank) == ("images", "files", (1, 16, 16), 0)
    assert array.size == sum(path.stat().st_size for path in (cache / "images").iterdir())
    assert array.rows == tuple(image_id(hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in SCANS[:2])
    assert (names.kind, names.rows, names.shape) == ("hashes", None, ())


def test_an_array_may_hold_what_its_rows_are_and_whatever_nobody_can_say() -> None:
    known = Holding(path=Path("a"), kind=IMAGES, source="s", shape=(), made=None, size=0, rows=("one", ""))
    assert known.blank == 1
    assert [known.may_hold(images) for images in ({"one"}, {"two"}, set(), None)] == [True, False, False, True]
    assert replace(known, rows=None).may_hold({"two"})
    assert replace(known, rows=("one", UNKNOWN)).may_hold({"two"})
    assert replace(known, kind=NAMES).may_hold({"two"})


def test_clearing_takes_the_arrays_of_an_image_and_leaves_the_others(cache: Path, folder: Path) -> None:
    first = Path(str(getattr(images_of(folder, SCANS[0], SCANS[1]), "filename", "")))
    second = Path(str(getattr(images_of(folder, SCANS[2]), "filename", "")))
    kept = Path(str(getattr(images_of(folder, SCANS[0]), "filename", "")))
    image = image_id(hashlib.sha256((folder / SCANS[0]).read_bytes()).hexdigest())
    (cache / "images" / "older.npy").write_bytes(b"of an earlier version")
    gone = clear({image}, (kept,))
    assert {path.name for path in gone} >= {first.name, "older.npy"}
    left = {path.name for path in (cache / "images").iterdir()}
    assert left == {name for path in (second, kept) for name in (path.name, path.with_suffix(".json").name)}
    assert not list((cache / "hashes").iterdir())
    clear(None)
    assert not list((cache / "images").iterdir())


@pytest.mark.parametrize("gone", [(".npy",), (".npy", ".json"), (".json",)])
def test_what_another_command_removes_while_it_is_listed_is_no_fault(
    gone: tuple[str, ...], cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_of(folder)

    def read_and_removed(array: Path) -> Index | None:
        index = index_of(array)
        for ending in gone:
            array.with_suffix(ending).unlink(missing_ok=True)
        return index

    monkeypatch.setattr(module, "index_of", read_and_removed)
    arrays = [held for held in holdings() if held.kind == IMAGES]
    # An array that is left without its index holds images still, and nobody can say which.
    assert [held.may_hold({"any"}) for held in arrays] == ([] if ".npy" in gone else [True])


def test_what_is_not_of_the_cache_s_making_stays_and_is_named(cache: Path, folder: Path) -> None:
    images_of(folder)
    (cache / "medmnist").mkdir()
    told = beyond_reach(None)
    assert [words for words in told if words.startswith(f"{cache / 'medmnist'}: not an array of the cache")]
    assert told[-1].startswith(f"caches other than {cache}")
    clear(None)
    assert (cache / "medmnist").is_dir()
