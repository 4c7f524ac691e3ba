# SPDX-License-Identifier: MIT
"""Reads safetensors files, strictly: what is not written as the format says is refused in one line, whoever wrote it.

    length of the header, 8 bytes, little endian | header, JSON | data

The header names each tensor with its type, its shape and the part of the data that it takes. Here it must do so in one
way only: every name once, no key that is not known, whole numbers that are neither negative nor too large, and parts
that cover the data from the first byte to the last without a gap or an overlap. So two readers never see two models in
one file. All that the library `safetensors` refuses is refused, too.

References:
    https://github.com/huggingface/safetensors, 'Format'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fedlethe.errors import IntegrityError

LONGEST_HEADER = 1 << 22
"""Bytes of a header, about 40,000 tensors: what bounds the memory that reading one takes."""

MOST_DIMENSIONS = 32
"""Of a tensor; numpy's own limit."""

MOST_BYTES = 1 << 62
"""Of a tensor, dimensions of 0 left out: no product of dimensions overflows."""

NUMPY_TYPES: Mapping[str, str] = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    "BOOL": "|b1",
    "BF16": "<u2",
}
"""The format's types as numpy has them; BF16 by its bits."""

_METADATA = "__metadata__"
_PICKLE_STARTS = (b"\x80", b"PK")


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: its type, its shape, and its first byte and the one after its last, counted in the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the data.

    Attributes:
        start: Where the data begin, in bytes.
        tensors: By name, in the order in which they lie.
        metadata: Texts by name.
    """

    start: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_header(content: Any, where: Path | str) -> Header:
    """The header of a whole file.

    Args:
        content: All of the file's bytes: a buffer.
        where: Names the file in messages.

    Raises:
        FedletheError: The file is cut short, a pickle, or not written as the format says.
    """
    view = memoryview(content).cast("B")
    if len(view) < 8:
        raise IntegrityError(f"{where}: is cut short ({len(view)} bytes); copy it again")
    length = int.from_bytes(view[:8], "little")
    try:
        if length > len(view) - 8:
            raise ValueError("it ends before its header does")
        if length > LONGEST_HEADER:
            raise ValueError(f"its header is longer than {LONGEST_HEADER:,} bytes")
        entries = _parsed(bytes(view[8 : 8 + length]))
        metadata = _texts(entries.pop(_METADATA, {}))
        tensors = {name: _tensor(name, entry) for name, entry in entries.items()}
        ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end, item[0])))
        _demand_covered(ordered, len(view) - 8 - length)
    except (ValueError, RecursionError) as error:  # a JSON or Unicode error is a ValueError
        if bytes(view[:2]).startswith(_PICKLE_STARTS):
            hint = "a pickle can run code when it is opened: save the state dict with safetensors instead"
            raise IntegrityError(f"{where}: is a pickle, not a safetensors file; {hint}") from None
        why = "its header is nested too deeply" if isinstance(error, RecursionError) else str(error)[:300]
        raise IntegrityError(f"{where}: is not a whole safetensors file ({why}); copy it again") from None
    return Header(8 + length, ordered, metadata)


def read_arrays(content: Any, where: Path | str) -> tuple[dict[str, npt.NDArray[Any]], Mapping[str, str]]:
    """The tensors of a whole file, by name, and its metadata.

    Args:
        content: All of the file's bytes: a buffer.
        where: Names the file in messages.

    Returns:
        Arrays that are copies and may be written to; BF16 comes as float32, which holds it exactly.

    Raises:
        FedletheError: See `read_header`.
    """
    header = read_header(content, where)
    data = memoryview(content).cast("B")[header.start :]
    return {name: _array(data, tensor) for name, tensor in header.tensors.items()}, header.metadata


def _array(data: memoryview, tensor: Tensor) -> npt.NDArray[Any]:
    flat = np.frombuffer(data[tensor.begin : tensor.end], dtype=NUMPY_TYPES[tensor.dtype])
    if tensor.dtype == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    if tensor.dtype == "BOOL":
        flat = flat.view(np.uint8) != 0
    whole: npt.NDArray[Any] = flat.astype(flat.dtype.newbyteorder("="), copy=True).reshape(tensor.shape)
    return whole


def _parsed(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):
        raise ValueError("its header does not begin with '{'")
    entries: dict[str, Any] = json.loads(
        header.decode("utf-8"), object_pairs_hook=_once, parse_int=_whole_number, parse_constant=_refused
    )
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, every key once and in Unicode that can be written."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)[:80]}' stands in it twice")
    for name in found:
        name.encode("utf-8")  # a lone surrogate is refused
    return found


def _whole_number(text: str) -> int:
    if text.startswith("-") or len(text) > 19:
        raise ValueError(f"{text[:30]} is negative or too large")
    return int(text)


def _refused(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _texts(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata are not texts by name")
    for text in metadata.values():
        text.encode("utf-8")
    return metadata


def _tensor(name: str, entry: Any) -> Tensor:
    called = f"'{name[:80]}'"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{called} has not just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in NUMPY_TYPES:
        raise ValueError(f"{called} is of type {str(dtype)[:40]}, which is not known")
    if not _whole_numbers(shape) or len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"{called} has a shape that is no list of at most {MOST_DIMENSIONS} whole numbers")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise ValueError(f"{called} has data_offsets that are not two whole numbers")
    size = np.dtype(NUMPY_TYPES[dtype]).itemsize
    if size * math.prod(length for length in shape if length) > MOST_BYTES:
        raise ValueError(f"{called} is too large")
    begin, end = offsets
    if end - begin != size * math.prod(shape):
        raise ValueError(f"{called} takes {end - begin} bytes, and its shape {size * math.prod(shape)}")
    return Tensor(dtype, tuple(shape), begin, end)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)  # a bool is no number here


def _demand_covered(ordered: Mapping[str, Tensor], size: int) -> None:
    """Refuse tensors that do not lie one after the other from the first byte of the data to the last."""
    end = 0
    for name, tensor in ordered.items():
        if tensor.begin != end:
            raise ValueError(f"'{name[:80]}' begins at {tensor.begin}, and the one before it ends at {end}")
        end = tensor.end
    if end != size:
        raise ValueError(f"its tensors take {end} bytes, and {size} are there")
