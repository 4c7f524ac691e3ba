# SPDX-License-Identifier: MIT
"""A file is written beside its place, fsynced and renamed: it is there whole, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from fedlethe.errors import IntegrityError

ASIDE = ".part"
"""Ends the name of a file that is being written."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place to write beside `path`; on success it is fsynced and renamed to `path`.

    Args:
        path: Where the file will be. Its folder is made if it is missing.

    Yields:
        The path to write to. If the block raises, what was written there is removed.

    Raises:
        FedletheError: The disk is full, or the folder cannot be written.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}{ASIDE}")
    try:
        make_folder(path.parent)
        aside.unlink(missing_ok=True)  # a link that waits there would be written through
        yield aside
        aside.chmod(0o600)  # clients' names, images and models are nobody else's to read
        _fsync(aside)
        aside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise IntegrityError(
            f"{path}: cannot be written ({error.strerror or error}); make room or choose another folder"
        ) from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, for their owner alone; durable when it returns."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        _fsync(folder.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process that asks for it out of a folder.

    Raises:
        FedletheError: Another process has it, which the message names by its pid; or it cannot be written.
    """
    from filelock import lock_descriptor  # it brings asyncio along, which reading alone does not wait for

    with _opened_lock(folder) as lock:
        if not lock_descriptor(lock.fileno(), blocking=False):
            lock.seek(0)
            holder = lock.read().decode(errors="replace") or "?"
            raise IntegrityError(f"{folder}: process {holder} is at work on it; wait for it")
        with suppress(OSError):  # on a full disk it holds all the same, and tells nobody whose it is
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        try:
            yield
        finally:
            with suppress(OSError):
                lock.truncate(0)


def _opened_lock(folder: Path) -> FileIO:
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return FileIO(os.open(folder / ".lock", flags, 0o600), "ab+")
    except OSError as error:
        hint = "make room, or make it writable"
        raise IntegrityError(f"{folder}: cannot be written ({error.strerror or error}); {hint}") from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole (see `written_whole`)."""
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def content_of(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        FedletheError: It is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error}); restore it from a backup") from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: what was renamed, made or removed there."""
    _fsync(path)


@contextmanager
def removing(path: Path) -> Iterator[None]:
    """Say in one line where something cannot be removed.

    Raises:
        FedletheError: What the block does to `path` fails.
    """
    try:
        yield
    except OSError as error:
        hint = "see to the disk and to the rights, then run the command again"
        raise IntegrityError(
            f"{error.filename or path}: cannot be removed ({error.strerror or error}); {hint}"
        ) from None


def abandoned(aside: Path, own: bool) -> bool:
    """Whether the process that was writing a file aside, as its name has it, is gone.

    Args:
        aside: The file.
        own: What is said of a file of this very process: an earlier one can have had the same number.
    """
    process = aside.name.removesuffix(ASIDE).rpartition(".")[2]
    if not process.isdecimal() or int(process) == os.getpid():
        return own
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
