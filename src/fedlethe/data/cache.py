# SPDX-License-Identifier: MIT
"""The cache folder: arrays that were expensive to make, each under a name that is made of what it depends on.

It is $FEDLETHE_CACHE, or else the user's cache folder. It holds images and features of every client, so it is as
confidential as the data set itself: it is made readable by its owner alone. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.errors import FedletheError
from fedlethe.files import ASIDE, abandoned, removing, written_whole


def digest(*parts: str | int) -> str:
    """SHA-256 of the parts, kept apart from each other, in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def cache_folder() -> Path:
    """$FEDLETHE_CACHE, or else the folder that the operating system has for caches."""
    if chosen := os.environ.get("FEDLETHE_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("fedlethe"))


def cache_place(kind: str, name: str) -> Path:
    """Where something of a kind is kept under a name; the folder is made.

    Raises:
        FedletheError: The folder cannot be made.
    """
    folder = cache_folder() / kind
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise FedletheError(
            f"{folder}: the cache folder cannot be made ({reason}); set FEDLETHE_CACHE to another"
        ) from error
    return folder / name


def sweep(own: bool) -> None:
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


def cached_array(
    path: Path, shape: tuple[int, ...], dtype: type[np.generic], make: Callable[[], Iterable[npt.NDArray[Any]]]
) -> npt.NDArray[Any]:
    """An array in the cache folder, made once, in bounded memory.

    Args:
        path: Its place (see `cache_place`).
        shape: Its shape.
        dtype: Its type.
        make: Gives its rows, in pieces of any length, in their order; called only where it is not there whole.

    Returns:
        A read-only memory map.

    Raises:
        FedletheError: It cannot be written.
    """
    array = _opened(path, shape, dtype)
    if array is None:
        sweep(own=False)
        _write(path, shape, dtype, make())
        array = _opened(path, shape, dtype)
    if array is None:
        raise FedletheError(f"{path}: is not whole after writing; delete it and check the disk")
    return array


def _opened(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any] | None:
    """The cached array, or None where there is none or it is not whole."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(array, np.memmap) and array.shape == shape and array.dtype == dtype
    return array if whole and path.stat().st_size == array.offset + array.nbytes else None


def _write(path: Path, shape: tuple[int, ...], dtype: type[np.generic], pieces: Iterable[npt.NDArray[Any]]) -> None:
    # Written, not mapped: on a full disk a write raises, where a store into a memory map ends the process.
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with written_whole(path) as aside, aside.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(piece.astype(dtype, copy=False).tobytes())
