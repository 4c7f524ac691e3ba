# SPDX-License-Identifier: MIT
"""A file is written beside its place, fsynced and renamed: it is there whole, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fedlethe.errors import FedletheError

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
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _fsync(aside)
        aside.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise FedletheError(
            f"{path}: cannot be written ({error.strerror or error}); make room or choose another folder"
        ) from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole (see `written_whole`)."""
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
