# SPDX-License-Identifier: MIT
"""The cache folder: arrays that were expensive to make, each under a name that is made of what it depends on.

It is $FEDLETHE_CACHE, or else the user's cache folder. It holds images and features of every client, so it is as
confidential as the data set itself: a folder that others can enter is refused, and its files are their owner's alone.
It may be deleted at any time.

Beside each array lies an index: the checksum, and for each row what it was made of (see `image_id`). So an erasure
finds what stems from an image in every array, whichever run or command made it. An array without its index is made
again; a purge removes it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.errors import DataError
from fedlethe.files import ASIDE, abandoned, removing, sha256_of, written_whole

PRIVATE = 0o600
TRIES = 3
"""How often an array is made that another command, a purge, takes away as soon as it is there."""

UNKNOWN = "?"
"""Stands for a row of which nobody can say what it was made of."""


def digest(*parts: str | int) -> str:
    """SHA-256 of the parts, kept apart from each other, in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def image_id(*parts: str | int) -> str:
    """What stands for one image in the index, the same for every size and in every array."""
    return digest("image", *parts)[:32]


def cache_folder() -> Path:
    """$FEDLETHE_CACHE, or else the folder that the operating system has for caches."""
    if chosen := os.environ.get("FEDLETHE_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("fedlethe"))


def cache_place(kind: str, name: str) -> Path:
    """Where something of a kind is kept under a name; the folder is made.

    Raises:
        FedletheError: The folder cannot be made, is another user's, or is open to other users.
    """
    return private_place(cache_folder(), kind, "decoded images", "FEDLETHE_CACHE") / name


def private_place(base: Path, kind: str, holds: str, variable: str) -> Path:
    """A folder that is this user's alone, in one that is this user's alone; both are made.

    Args:
        base: The outer folder.
        kind: The inner one's name.
        holds: What lies there, in words.
        variable: The environment variable that names another outer folder.

    Raises:
        FedletheError: A folder cannot be made, is another user's, or is open to other users.
    """
    try:
        for folder, parents in ((base, True), (base / kind, False)):
            folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
            demand_private(folder, holds, variable)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{base / kind}: the folder for {holds} cannot be made ({reason}); set {variable} to another"
        ) from error
    return base / kind


def demand_private(folder: Path, holds: str = "decoded images", variable: str = "FEDLETHE_CACHE") -> None:
    """Refuse a folder that somebody else could read, or put files into; one that is not there is none.

    Raises:
        FedletheError: It is another user's, or its mode lets others in.
    """
    try:
        held = folder.stat()
    except FileNotFoundError:
        return
    # Another user's folder can be swapped under us, and files in it changed between the check and the use.
    if held.st_uid != os.geteuid():
        raise DataError(
            f"{folder}: the folder for {holds} belongs to another user (uid {held.st_uid}), who could read and change "
            f"them; set {variable} to a folder of your own"
        )
    if held.st_mode & 0o077:
        raise DataError(
            f"{folder}: the folder for {holds} is open to other users (mode {held.st_mode & 0o777:04o}); run: chmod "
            f"700 {folder}"
        )


def clear_leftovers(own: bool) -> None:
    """Remove what was left half written in the cache by processes that are gone: it holds images as well.

    Args:
        own: Whether this process counts as one: it writes nothing there just now.

    Raises:
        FedletheError: A file cannot be removed.
    """
    for aside in cache_folder().glob(f"*/*{ASIDE}"):
        if abandoned(aside, own):
            with removing(aside):
                aside.unlink(missing_ok=True)


# The index


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What is known of a cached array.

    Attributes:
        source: The kind of its source: files, archive, medmnist, phantom; or the map that made features.
        made: When.
        sha256: Of the array's file.
        rows: Of each row what it was made of (see `image_id`); '' where it is blank, UNKNOWN where it cannot be told.
    """

    source: str
    made: str
    sha256: str
    rows: tuple[str, ...]


def index_place(array: Path) -> Path:
    """Where the index of an array lies."""
    return array.with_suffix(".json")


def index_of(array: Path) -> Index | None:
    """The index of an array; None where there is none, or it was changed."""
    try:
        held = json.loads(index_place(array).read_bytes())
        index = Index(**{**held["index"], "rows": tuple(held["index"]["rows"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return index if held["check"] == _check(index) else None


def _check(index: Index) -> str:
    return digest(index.source, index.made, index.sha256, *index.rows)


class NamedRows(np.ndarray[Any, Any]):
    """Images that say what stands for each in the index: blank ones that were not decoded, or copies out of the cache.

    Attributes:
        identities: Of each row (see `image_id`).
    """

    identities: tuple[str, ...]

    @classmethod
    def of(cls, identities: Sequence[str], shape: tuple[int, ...]) -> NamedRows:
        """Zeros, uint8, of this shape, read-only and in no memory of their own; shape[0] identities."""
        return cls.naming(np.broadcast_to(np.uint8(0), shape), identities)

    @classmethod
    def naming(cls, images: npt.NDArray[Any], identities: Sequence[str]) -> NamedRows:
        """These images, in the memory that they are in, with their identities."""
        named = images.view(cls)
        named.identities = tuple(identities)
        return named


def origins(images: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """What rows of an array were made of: known where it is a memory map of the cache, or is named, else UNKNOWN."""
    if (named := getattr(images, "identities", None)) is not None:  # a part of a NamedRows has none
        return tuple(named[row] for row in rows.tolist())
    place = getattr(images, "filename", None)
    index = None if place is None else index_of(Path(place))
    if index is None or len(index.rows) != len(images):
        return (UNKNOWN,) * len(rows)
    return tuple(index.rows[row] for row in rows.tolist())


# Arrays


def cached_array(
    path: Path,
    shape: tuple[int, ...],
    dtype: type[np.generic],
    make: Callable[[], Iterable[npt.NDArray[Any]]],
    *,
    source: str,
    rows: Callable[[], Sequence[str]],
) -> npt.NDArray[Any]:
    """An array in the cache folder, made once, in bounded memory.

    Args:
        path: Its place (see `cache_place`).
        shape: Its shape.
        dtype: Its type.
        make: Gives its rows, in pieces of any length, in their order; called only where it is not there whole, with
            the bytes that were written, and again where another command removes it meanwhile.
        source: See `Index`.
        rows: Gives what each row is made of, likewise.

    Returns:
        A read-only memory map.

    Raises:
        FedletheError: It cannot be written, or others remove it each time.
    """
    for _ in range(TRIES):
        if (array := _opened(path, shape, dtype)) is not None:
            return array
        clear_leftovers(own=False)
        _write(path, shape, dtype, make(), source, tuple(rows()))
    if (array := _opened(path, shape, dtype)) is not None:
        return array
    if path.exists() and index_of(path) is not None:
        raise DataError(f"{path}: is not whole after writing; delete it and check the disk")
    raise DataError(
        f"{path}: other commands on this cache removed it {TRIES} times as soon as it was written; run this one again "
        "when they are done"
    )


def is_whole(path: Path) -> bool:
    """Whether an array is as it was written, by its checksum."""
    index = index_of(path)
    try:
        return index is not None and path.is_file() and sha256_of(path) == index.sha256
    except FileNotFoundError:  # another command removes it just now
        return False


def write_private(path: Path, content: bytes) -> None:
    """Write a file of the cache whole (see `files.written_whole`), for its owner alone."""
    with written_whole(path) as aside, open(aside, "wb", opener=_private) as file:
        file.write(content)


def _opened(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any] | None:
    """The cached array, or None where there is none or it is not as it was written."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        held = path.stat()
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(array, np.memmap) or array.shape != shape or array.dtype != dtype:
        return None
    index = index_of(path)
    if index is None or held.st_size != array.offset + array.nbytes or len(index.rows) != shape[0]:
        return None
    seen = (held.st_ino, held.st_size, held.st_mtime_ns, held.st_ctime_ns)
    try:
        # Inode and change time too: an array that was put in another's place with its old time stamp is read again.
        return array if _content(path, seen) == index.sha256 else None
    except FileNotFoundError:  # another command removes it just now
        return None


@lru_cache(maxsize=4096)
def _content(path: Path, seen: tuple[int, ...]) -> str:
    """SHA-256 of a file, read once in a process for each of its states (inode, size, times)."""
    return sha256_of(path)


def _write(
    path: Path,
    shape: tuple[int, ...],
    dtype: type[np.generic],
    pieces: Iterable[npt.NDArray[Any]],
    source: str,
    rows: tuple[str, ...],
) -> None:
    # Written, not mapped: on a full disk a write raises, where a store into a memory map ends the process.
    header, sha256 = io.BytesIO(), hashlib.sha256()
    facts = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    with suppress(FileNotFoundError):  # an index is never beside an array that it is not of
        index_place(path).unlink()
    with written_whole(path) as aside, open(aside, "wb", opener=_private) as file:
        for content in _contents(header.getvalue(), dtype, pieces):
            file.write(content)
            sha256.update(content)
    now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    index = Index(source=source, made=now, sha256=sha256.hexdigest(), rows=rows)
    document = {"index": asdict(index), "check": _check(index)}
    write_private(index_place(path), json.dumps(document, separators=(",", ":")).encode())


def _contents(header: bytes, dtype: type[np.generic], pieces: Iterable[npt.NDArray[Any]]) -> Iterable[bytes]:
    yield header
    for piece in pieces:
        yield piece.astype(dtype, copy=False).tobytes()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)
