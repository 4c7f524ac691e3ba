# SPDX-License-Identifier: MIT
"""A disk that fails: the N-th write, fsync, rename, removal or new file under some folders ends in an error.

Two layers are reached, in this process and without a compiler: what Python does (`open`, and what `os` has for files),
and what SQLite does for the ledger, by a file system layer of its own (a VFS, https://www.sqlite.org/vfs.html) that
stands before SQLite's. A write that fails has written half of what it was to write, as on a disk that is full.
Nothing is synced in earnest: no power fails here.
"""

# What pathlib calls is what is counted here.
# ruff: noqa: PTH100, PTH110, PTH115, PTH118

from __future__ import annotations

import _sqlite3
import builtins
import ctypes
import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

What = Literal["write", "fsync", "rename", "create", "remove", "mkdir", "truncate"]
GROWS: tuple[What, ...] = ("write", "create", "mkdir")
"""What a full disk refuses; it lets files be removed, renamed and synced."""


@dataclass
class Disk:
    """Counts what is done under some folders, and fails it where it is to.

    Attributes:
        folders: Nothing elsewhere is counted.
        fails_at: The number of what fails, counted from 0; None for nothing.
        full: Whether everything that takes room fails from there on (ENOSPC); else it is that one alone (EIO).
        done: What was done, and to which file.
    """

    folders: Sequence[Path]
    fails_at: int | None = None
    full: bool = False
    done: list[tuple[What, str]] = field(default_factory=list)

    def fails(self, what: What, path: str) -> bool:
        """Whether this is to fail; it is counted."""
        if not any(path.startswith(f"{folder}/") or path == str(folder) for folder in self.folders):
            return False
        number = len(self.done)
        self.done.append((what, path))
        if self.fails_at is None:
            return False
        if self.full:
            return number >= self.fails_at and what in GROWS
        return number == self.fails_at

    def demand(self, what: What, path: str) -> None:
        """Raise what the operating system would, where this is to fail."""
        if self.fails(what, path):
            raise self.error(path)

    def error(self, path: str) -> OSError:
        """What the operating system would raise."""
        code = errno.ENOSPC if self.full else errno.EIO
        return OSError(code, os.strerror(code), path)


@contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """Have everything that this process does to files be done on this disk."""
    with pytest.MonkeyPatch.context() as patch:
        _python(disk, patch)
        with _SQLITE.over(disk):
            yield disk


def reaches_sqlite() -> bool:
    """Whether SQLite's own writes can be failed here: they cannot where its library shows no symbols."""
    return _SQLITE.library is not None


# What Python does


class _File(io.FileIO):
    """A file whose writes can fail half way."""

    disk: Disk
    place: str

    def write(self, content: Any) -> int:
        if self.disk.fails("write", self.place):
            super().write(memoryview(content).cast("B")[: memoryview(content).nbytes // 2])
            raise self.disk.error(self.place)
        return super().write(content)

    def truncate(self, size: int | None = None) -> int:
        self.disk.demand("truncate", self.place)
        return super().truncate(size)


def _where(path: Any, dir_fd: int | None = None) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    name = os.fsdecode(path)
    return os.path.join(_where(dir_fd), name) if dir_fd is not None else os.path.abspath(name)


def _python(disk: Disk, patch: pytest.MonkeyPatch) -> None:
    plain = io.open

    def opened(file: Any, mode: str = "r", buffering: int = -1, *text: Any, **named: Any) -> Any:
        place = _where(file) if set(mode) & set("wax+") else ""
        if not any(place.startswith(f"{folder}/") for folder in disk.folders):
            return plain(file, mode, buffering, *text, **named)
        if not isinstance(file, int) and not os.path.exists(file):
            disk.demand("create", place)
        raw = _File(file, mode.replace("b", "").replace("t", ""), closefd=named.get("closefd", True))
        raw.disk, raw.place = disk, place
        if not buffering:
            return raw
        both: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return (
            both if "b" in mode else io.TextIOWrapper(both, *text, **{n: v for n, v in named.items() if n != "closefd"})
        )

    def os_opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and not os.path.exists(path):
            disk.demand("create", _where(path, dir_fd))
        return os_open(path, flags, mode, dir_fd=dir_fd)

    os_open = os.open
    patch.setattr(io, "open", opened)
    patch.setattr(builtins, "open", opened)
    patch.setattr(os, "open", os_opened)
    for name, what in _CALLS.items():
        patch.setattr(os, name, _counted(disk, getattr(os, name), what))


_CALLS: dict[str, What] = {
    "fsync": "fsync",
    "fdatasync": "fsync",
    "replace": "rename",
    "rename": "rename",
    "link": "rename",
    "unlink": "remove",
    "remove": "remove",
    "rmdir": "remove",
    "mkdir": "mkdir",
    "truncate": "truncate",
    "ftruncate": "truncate",
}


def _counted(disk: Disk, call: Callable[..., Any], what: What) -> Callable[..., Any]:
    def counted(path: Any, *rest: Any, **named: Any) -> Any:
        place = _where(path, named.get("dir_fd"))
        there = os.path.lexists(place)
        if there != (what == "mkdir"):  # what fails anyway is not counted
            disk.demand(what, place)
        return None if what == "fsync" else call(path, *rest, **named)

    return counted


# What SQLite does

_FULL, _IOERR = 13, 10
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_MAP = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods: what can be done to an open file."""

    _fields_ = (
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read")),
        *(("write", _WRITE), ("truncate", _TRUNCATE), ("sync", _SYNC)),
        *((name, c_void_p) for name in ("size", "lock", "unlock", "reserved", "control", "sector", "device")),
        ("map", _MAP),
        *((name, c_void_p) for name in ("shm_lock", "barrier", "unmap", "fetch", "unfetch")),
    )


class _Vfs(ctypes.Structure):
    """sqlite3_vfs: the file system that SQLite sees."""

    _fields_ = (
        *(("version", c_int), ("size", c_int), ("longest", c_int), ("next", c_void_p), ("name", c_char_p)),
        *(("data", c_void_p), ("open", _OPEN), ("delete", _DELETE)),
        *((f"other_{number}", c_void_p) for number in range(13)),
    )


class _Sqlite:
    """The file system of this process's SQLite, with one of ours before it while a disk is to fail."""

    def __init__(self) -> None:
        self.library = _library()
        self.kept: list[Any] = []  # what SQLite holds pointers to

    @contextmanager
    def over(self, disk: Disk) -> Iterator[None]:
        """Stand before SQLite's file system."""
        if self.library is None:
            yield
            return
        plain = _Vfs.from_address(self.library.sqlite3_vfs_find(None))
        ours = _Vfs.from_buffer_copy(plain)
        ours.name, ours.next = b"failing", None
        ours.open, ours.delete = self._open(disk, plain), self._delete(disk, plain)
        self.kept.append(ours)
        self.library.sqlite3_vfs_register(ctypes.byref(ours), 1)
        try:
            yield
        finally:
            self.library.sqlite3_vfs_unregister(ctypes.byref(ours))

    def _open(self, disk: Disk, plain: _Vfs) -> Any:
        def opened(vfs: int, name: int | None, file: int, flags: int, given: int | None) -> int:
            place = "" if name is None else os.fsdecode(ctypes.string_at(name))
            if flags & 4 and not os.path.exists(place) and disk.fails("create", place):  # SQLITE_OPEN_CREATE
                ctypes.cast(file, POINTER(c_void_p))[0] = None
                return 14  # SQLITE_CANTOPEN
            code: int = plain.open(vfs, name, file, flags, given)
            pointer = ctypes.cast(file, POINTER(c_void_p))
            if not code and pointer[0]:
                methods = self._methods(disk, _Methods.from_address(pointer[0]), place)
                pointer[0] = ctypes.addressof(methods)
            return code

        return self._held(_OPEN(opened))

    def _delete(self, disk: Disk, plain: _Vfs) -> Any:
        def deleted(vfs: int, name: bytes, sync: int) -> int:
            if os.path.exists(name) and disk.fails("remove", os.fsdecode(name)):
                return _IOERR | 10 << 8
            code: int = plain.delete(vfs, name, sync)
            return code

        return self._held(_DELETE(deleted))

    def _methods(self, disk: Disk, plain: _Methods, place: str) -> _Methods:
        def written(file: int, content: int, count: int, offset: int) -> int:
            if disk.fails("write", place):
                plain.write(file, content, count // 2, offset)
                return _FULL if disk.full else _IOERR | 3 << 8
            code: int = plain.write(file, content, count, offset)
            return code

        def truncated(file: int, size: int) -> int:
            code: int = _IOERR | 6 << 8 if disk.fails("truncate", place) else plain.truncate(file, size)
            return code

        def synced(file: int, flags: int) -> int:
            return _IOERR | 4 << 8 if disk.fails("fsync", place) else 0

        def mapped(file: int, page: int, size: int, extend: int, pointer: int) -> int:
            if extend and disk.fails("write", f"{place}-shm"):
                return _FULL if disk.full else _IOERR | 19 << 8
            code: int = plain.map(file, page, size, extend, pointer)
            return code

        ours = _Methods.from_buffer_copy(plain)
        ours.write, ours.truncate, ours.sync = _WRITE(written), _TRUNCATE(truncated), _SYNC(synced)
        if plain.version >= 2:
            ours.map = _MAP(mapped)
        self.kept.append(ours)  # a structure keeps the functions that were set in it
        return ours

    def _held(self, callback: Any) -> Any:
        self.kept.append(callback)
        return callback


def _library() -> Any:
    library = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_vfs_find"):
        return None
    library.sqlite3_vfs_find.restype = c_void_p
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    return library


_SQLITE = _Sqlite()
