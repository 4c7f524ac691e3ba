# SPDX-License-Identifier: MIT
"""A vector as a safetensors file of named tensors, which any PyTorch user can load.

All tensors are float32 and the format lays them out by name, so the file is a header and then the vector: it is
written from the vector's own memory and read as one memory map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from fedlethe import tensors
from fedlethe.errors import IntegrityError
from fedlethe.files import written_whole
from fedlethe.history.sealing import Bytes, Seal, sealed, unsealed
from fedlethe.later import torch
from fedlethe.types import Vector
from fedlethe.vector import Layout


def save(path: Path, vector: Vector, layout: Layout, seal: Seal | None = None) -> str:
    """Write a vector of shape (P,) as named tensors, whole (see `files.written_whole`).

    Args:
        path: Where to.
        vector: Shape (P,).
        layout: Its names and shapes.
        seal: What the file is sealed with, if it is.

    Returns:
        The SHA-256 of the file, in hexadecimal.

    Raises:
        FedletheError: The disk is full, or the folder cannot be written.
    """
    return write(path, parts(vector, layout), seal)


def parts(vector: Vector, layout: Layout) -> list[Any]:
    """The bytes of a checkpoint of a vector of shape (P,), as buffers, one after the other."""
    return [_header(tuple(layout.shapes.items())), vector.contiguous().numpy().data]


def write(path: Path, content: Sequence[Any], seal: Seal | None = None) -> str:
    """Write buffers one after the other into a file, whole, and sealed if there is a seal.

    Returns:
        The SHA-256 of the file, in hexadecimal.

    Raises:
        FedletheError: The disk is full, or the folder cannot be written.
    """
    digest = hashlib.sha256()
    with ThreadPoolExecutor(1) as thread, written_whole(path) as aside, aside.open("wb") as file:
        for piece in content if seal is None else sealed(seal, content):
            hashed = thread.submit(digest.update, piece)  # while it is written: neither holds the interpreter
            file.write(piece)
            hashed.result()
    return digest.hexdigest()


def load(path: Path, layout: Layout, sha256: str | None = None, seal: Seal | None = None) -> Vector:
    """Read a checkpoint as one memory map (copy on write: the file is never changed), or open a sealed one.

    Args:
        path: A safetensors file of float32 tensors.
        layout: What it must hold.
        sha256: What its bytes must hash to, if that is known.
        seal: What the file was sealed with, if it was.

    Returns:
        The vector, shape (P,).

    Raises:
        FedletheError: The file is missing, not whole as the format says (see `tensors`), changed, or of another model.
    """
    content = read(path, sha256, seal)
    start, shapes = _header_of(path, content)
    if difference := layout.difference(shapes):
        raise IntegrityError(f"{path}: is a checkpoint of another model: {difference[:500]}")
    return torch.from_numpy(content[start:].view("<f4"))


def read(path: Path, sha256: str | None = None, seal: Seal | None = None) -> Bytes:
    """A file's bytes, a memory map, or what a sealed one holds.

    Raises:
        FedletheError: The file is missing or changed, or its key does not open it.
    """
    content = _mapped(path)
    if sha256 is not None and hashlib.sha256(content.data).hexdigest() != sha256:
        raise IntegrityError(f"{path}: its bytes are not those that the ledger names; restore this file from a backup")
    return content if seal is None else unsealed(seal, content, path)


def layout_of(path: Path, sha256: str | None = None) -> Layout:
    """The layout of a checkpoint file, from its header.

    Args:
        path: A safetensors file of float32 tensors.
        sha256: What its bytes must hash to, if that is known.

    Raises:
        FedletheError: The file is missing, changed, or not a safetensors file.
    """
    return Layout(_header_of(path, read(path, sha256))[1])


def _mapped(path: Path) -> Bytes:
    if not path.is_file():
        raise IntegrityError(f"{path}: there is no such file; restore it from a backup")
    if path.stat().st_size < 8:
        raise IntegrityError(f"{path}: is cut short ({path.stat().st_size} bytes); copy it again")
    try:
        return np.memmap(path, dtype=np.uint8, mode="c")
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read ({error.strerror or error})") from None


def _header_of(path: Path, content: Bytes) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Where the data begin, and the shape of each tensor: all of them float32, in the order of their names."""
    header = tensors.read_header(content, path)
    if other := next((name for name, tensor in header.tensors.items() if tensor.dtype != "F32"), None):
        raise IntegrityError(f"{path}: '{other}' is not float32; checkpoints of fedlethe are float32 throughout")
    if list(header.tensors) != sorted(header.tensors):
        raise IntegrityError(
            f"{path}: its tensors do not lie in the order of their names; save it again with safetensors"
        )
    return header.start, {name: tensor.shape for name, tensor in header.tensors.items()}


@lru_cache(maxsize=8)
def _header(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> bytes:
    """The header that safetensors itself writes for these tensors."""
    whole = safetensors.numpy.save({name: np.zeros(shape, np.float32) for name, shape in shapes}, {"format": "pt"})
    return whole[: 8 + int.from_bytes(whole[:8], "little")]
