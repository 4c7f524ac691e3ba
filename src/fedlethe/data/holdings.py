# SPDX-License-Identifier: MIT
"""What the cache folder holds, found by what each row was made of, and taken out of it.

An array that holds one of the images is removed as a whole: whoever needs the others decodes them again. So is one of
which nobody can say what it holds. Lists of files' names and hashes go altogether; they are made again from the files.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedlethe.data.cache import UNKNOWN, cache_folder, demand_private, index_of, index_place
from fedlethe.files import ASIDE, removing, sync_folder

IMAGES, FEATURES, NAMES = "images", "features", "hashes"
KINDS = (IMAGES, FEATURES, NAMES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """One array, or list of names, in the cache.

    Attributes:
        path: Its file.
        kind: Of KINDS.
        source: See `cache.Index`; None where it cannot be told.
        shape: Of one row; () for a list of names.
        made: When; None where it cannot be told.
        size: Bytes.
        rows: See `cache.Index`; None where it cannot be told.
    """

    path: Path
    kind: str
    source: str | None
    shape: tuple[int, ...]
    made: str | None
    size: int
    rows: tuple[str, ...] | None

    @property
    def blank(self) -> int:
        """Rows that were erased."""
        return 0 if self.rows is None else self.rows.count("")

    def may_hold(self, images: Collection[str] | None) -> bool:
        """Whether one of the images, by their identities, can be in it; None for any image."""
        # In doubt it may: what is removed once too often is decoded again, what is left once too often is a leak.
        if self.kind == NAMES or images is None or self.rows is None or UNKNOWN in self.rows:
            return True
        return not set(self.rows).isdisjoint(images)


def holdings() -> list[Holding]:
    """What is in the cache, by kind and name.

    Raises:
        FedletheError: The cache folder is another user's, or open to others.
    """
    demand_private(cache_folder())
    found = (_holding(path, kind) for kind in KINDS for path in _files(kind) if not _is_index(path, kind))
    return [held for held in found if held is not None]


def _files(kind: str) -> Iterator[Path]:
    demand_private(cache_folder() / kind)
    yield from sorted(path for path in (cache_folder() / kind).glob("*") if not path.name.endswith(ASIDE))


def _is_index(path: Path, kind: str) -> bool:
    # One whose array is gone is a holding by itself, so that it is cleared away as well.
    return kind != NAMES and path.suffix == ".json" and path.with_suffix(".npy").exists()


def _holding(path: Path, kind: str) -> Holding | None:
    """What a file is; None where another command has removed it since it was listed."""
    # Only the file itself decides: an array whose index alone went just now is still there, and holds images.
    while os.path.lexists(path):
        with suppress(FileNotFoundError):
            return _as_it_is(path, kind)
    return None


def _as_it_is(path: Path, kind: str) -> Holding:
    index = index_of(path) if path.suffix == ".npy" else None
    return Holding(
        path=path,
        kind=kind,
        source=None if index is None else index.source,
        shape=_row_shape(path),
        made=None if index is None else index.made,
        size=path.lstat().st_size + (index_place(path).stat().st_size if index is not None else 0),
        rows=None if index is None else index.rows,
    )


def _row_shape(path: Path) -> tuple[int, ...]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return ()
    shape: tuple[int, ...] = array.shape[1:] if isinstance(array, np.ndarray) else ()
    return shape


def beyond_reach(images: Collection[str] | None, kept: Collection[Path] = ()) -> tuple[str, ...]:
    """What `clear` will not get, one sentence each: what is open in other processes, and what is not of its making.

    Args:
        images: Identities of images; None for all.
        kept: Arrays that stay.
    """
    opened, told = _open_elsewhere(), []
    if opened is None:
        told.append("whether other processes have arrays of the cache open cannot be told on this system")
    doomed = [held.path for held in holdings() if held.path not in kept and held.may_hold(images)]
    told += [
        f"{path}: process {who} has it open, and with it its content until it ends"
        for path in doomed
        if (who := (opened or {}).get(str(path.resolve())))
    ]
    folder = cache_folder()
    others = sorted(path for path in folder.iterdir() if path.name not in KINDS) if folder.is_dir() else []
    told += [f"{path}: not an array of the cache (a fetched data set, or somebody's file); it stays" for path in others]
    told.append(f"caches other than {folder}, on this machine and on others: run fedlethe cache clear there")
    return tuple(told)


def _open_elsewhere() -> dict[str, int] | None:
    """File in the cache to another process that has it open or mapped; None where the system does not tell."""
    here, root, found = os.getpid(), str(cache_folder().resolve()), {}
    if not Path("/proc/self/maps").is_file():
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == here:
            continue
        try:  # processes of others cannot be read, and cannot open files of this user's alone
            for line in (process / "maps").read_text(errors="replace").splitlines():
                if root in line:
                    found[line[line.index(root) :]] = int(process.name)
            for descriptor in (process / "fd").iterdir():
                if (target := str(descriptor.readlink())).startswith(root):
                    found[target] = int(process.name)
        except OSError:
            continue
    return found


def clear(images: Collection[str] | None, kept: Collection[Path] = ()) -> tuple[Path, ...]:
    """Remove every array that may hold one of the images, and the lists of names.

    Args:
        images: Their identities; None for all, and all arrays.
        kept: Arrays that stay.

    Returns:
        What was removed.

    Raises:
        FedletheError: Something cannot be removed, or the cache folder is another user's or open to others.
    """
    return remove(held.path for held in holdings() if held.path not in kept and held.may_hold(images))


def remove(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Remove arrays, with their indices, and lists of names from the cache for good.

    Returns:
        They.

    Raises:
        FedletheError: Something cannot be removed.
    """
    gone = tuple(paths)
    for path in gone:
        with removing(path):
            # The array first: it holds the images. An index that is left alone goes with the next call.
            path.unlink(missing_ok=True)
            if path.suffix == ".npy":
                index_place(path).unlink(missing_ok=True)
    for folder in {path.parent for path in gone}:
        with removing(folder):
            sync_folder(folder)
    return gone
