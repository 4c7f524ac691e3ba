# SPDX-License-Identifier: MIT
"""The strict reader, held against vectors of malformed files and against the library `safetensors` as an oracle."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.closed_form.by_class import ByClass
from fedlethe.erasing import examination
from fedlethe.errors import FedletheError
from fedlethe.history import checkpoint
from fedlethe.models import initialise
from fedlethe.models.resnet import ResNet18
from fedlethe.tensors import read_arrays, read_header
from fedlethe.vector import Layout


def whole(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}


EIGHT = bytes(8)
TEXT = json.dumps({"a": one()}).encode()
BAD: dict[str, bytes] = {
    "overlapping": whole({"a": one(), "b": one(data_offsets=[4, 12])}, bytes(12)),
    "the same bytes twice": whole({"a": one(), "b": one()}, EIGHT),
    "a gap": whole({"a": one(), "b": one(data_offsets=[12, 20])}, bytes(20)),
    "a gap at the beginning": whole({"a": one(data_offsets=[4, 12])}, bytes(12)),
    "negative offsets": whole({"a": one(data_offsets=[-8, 0])}, EIGHT),
    "minus nought": whole(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}', EIGHT),
    "backwards": whole({"a": one(data_offsets=[8, 0])}, EIGHT),
    "far": whole({"a": one(data_offsets=[2**40, 2**40 + 8])}, EIGHT),
    "offsets beyond 64 bits": whole({"a": one(data_offsets=[2**70, 2**70 + 8])}, EIGHT),
    "three offsets": whole({"a": one(data_offsets=[0, 8, 8])}, EIGHT),
    "offsets by name": whole({"a": one(data_offsets={"0": 0, "1": 8})}, EIGHT),
    "offsets as floats": whole({"a": one(data_offsets=[0.0, 8.0])}, EIGHT),
    "offsets as texts": whole({"a": one(data_offsets=["0", "8"])}, EIGHT),
    "offsets as bools": whole({"a": one(shape=[], dtype="U8", data_offsets=[False, True])}, b"1"),
    "a shape that is a number": whole({"a": one(shape=2)}, EIGHT),
    "a shape that is a text": whole({"a": one(shape="2")}, EIGHT),
    "a shape of bools": whole({"a": one(shape=[True, 2])}, EIGHT),
    "a shape of floats": whole({"a": one(shape=[2.0])}, EIGHT),
    "a negative length": whole({"a": one(shape=[-2, -1])}, EIGHT),
    "another shape than bytes": whole({"a": one(shape=[3])}, EIGHT),
    "a product of 2^64 + 2": whole({"a": one(shape=[2**32 + 1, 2**32 - 1])}, EIGHT),
    "lengths that overflow beside a nought": whole({"a": one(shape=[0, 2**62, 2**62], data_offsets=[0, 0])}),
    "too many dimensions": whole({"a": one(shape=[1] * 40 + [2])}, EIGHT),
    "an unknown type": whole({"a": one(dtype="F33")}, EIGHT),
    "a type that is a number": whole({"a": one(dtype=32)}, EIGHT),
    "no type": whole({"a": {"shape": [2], "data_offsets": [0, 8]}}, EIGHT),
    "a key that is not known": whole({"a": one(extra=1)}, EIGHT),
    "an entry that is a list": whole({"a": ["F32", [2], [0, 8]]}, EIGHT),
    "an entry that is nothing": whole({"a": None}, EIGHT),
    "a name twice": whole(TEXT[:-1] + b"," + TEXT[1:], EIGHT),
    "a key twice": whole(TEXT.replace(b'{"dtype"', b'{"dtype": "F32", "dtype"'), EIGHT),
    "metadata twice": whole(b'{"__metadata__":{},"__metadata__":{},' + TEXT[1:], EIGHT),
    "metadata that are numbers": whole({"__metadata__": {"a": 1}, "a": one()}, EIGHT),
    "metadata that are a list": whole({"__metadata__": ["a"], "a": one()}, EIGHT),
    "metadata that are nothing": whole({"__metadata__": None, "a": one()}, EIGHT),
    "trailing bytes": whole({"a": one()}, bytes(9)),
    "trailing bytes and no tensor": whole({}, b"1"),
    "cut short": whole({"a": one()}, bytes(7)),
    "a list": whole([one()], EIGHT),
    "a blank before": whole(b" " + TEXT, EIGHT),
    "UTF-16": whole(TEXT.decode().encode("utf-16"), EIGHT),
    "a byte-order mark": whole(b"\xef\xbb\xbf" + TEXT, EIGHT),
    "no Unicode": whole(TEXT.replace(b'"a"', b'"\xff"'), EIGHT),
    "a lone surrogate": whole(TEXT.replace(b'"a"', b'"\\ud800"'), EIGHT),
    "NaN": whole(b'{"__metadata__":{"a":NaN},' + TEXT[1:], EIGHT),
    "deep lists": whole(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "deep objects": whole(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of many digits": whole(b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,8]}}'),
    "a header longer than the file": struct.pack("<Q", 2**63) + TEXT,
    "a long header": whole(TEXT + b" " * (1 << 22), EIGHT),
    "no header": struct.pack("<Q", 0),
    "nothing": b"",
    "no JSON": whole(b'{"a":', EIGHT),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file_ends_in_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad\x1b.safetensors"
    path.write_bytes(BAD[name])
    layout = Layout({"a": (2,)})
    readers = (
        lambda: checkpoint.load(path, layout),
        lambda: checkpoint.layout_of(path),
        lambda: ByClass.read(BAD[name], path),
        lambda: examination.answers_from_bytes(BAD[name], path),
        lambda: initialise(ResNet18(weights=path), 1, 2, seed=0),
        lambda: read_arrays(BAD[name], path),
    )
    for reader in readers:
        with pytest.raises(FedletheError, match=r"bad\\x1b.safetensors: is (not a whole|cut short)") as error:
            reader()
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 600 + len(str(path))


def test_every_kind_of_array_comes_back_as_the_library_gives_it() -> None:
    kinds = (np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.uint64, np.bool_)
    arrays = {np.dtype(kind).name: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    arrays |= {"scalar": np.array(2.5), "none": np.zeros((0, 3))}
    content = safetensors.numpy.save(arrays, {"format": "np"})
    found, metadata = read_arrays(content, "file")
    assert metadata == {"format": "np"}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
        found[name][...] = 0  # a copy, which may be written to


def test_bfloat16_comes_as_the_float32_that_it_is() -> None:
    tensor = torch.tensor([1.0, -0.3, 3e38, torch.inf]).bfloat16()
    found, _ = read_arrays(safetensors.torch.save({"a": tensor}), "file")
    np.testing.assert_array_equal(found["a"], tensor.float().numpy())


GOOD = safetensors.numpy.save(
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.float32), "c": np.ones(3, np.float32)},
    {"format": "pt"},
)
LENGTH = int.from_bytes(GOOD[:8], "little")


def demand_no_more_than_the_library(content: bytes) -> None:
    """Either one line, or just the tensors that the library reads."""
    try:
        found, _ = read_arrays(content, "file")
    except FedletheError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017  # both ends are right
        return
    theirs = safetensors.numpy.load(content)  # raises where it refuses
    assert found.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, LENGTH + 24), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(-20, 20),
)
def test_changed_bytes_are_refused_or_read_as_the_library_reads_them(
    changes: list[tuple[int, int]], longer: int
) -> None:
    content = bytearray(GOOD)
    for place, byte in changes:
        content[place % len(content)] = byte
    demand_no_more_than_the_library(bytes(content) + bytes(longer) if longer > 0 else bytes(content)[: longer or None])


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-2, 48),
    st.floats(),
    st.sampled_from(["F32", "F64", "I8", "U8", "F4", "", "a", "\ud800", "\x1b"]),
    st.lists(st.one_of(st.integers(-2, 40), st.booleans(), st.none()), max_size=3),
    st.dictionaries(st.sampled_from(["a", "dtype", "shape"]), st.integers(0, 3), max_size=2),
)


@settings(max_examples=400)
@given(
    st.sampled_from([("a",), ("b",), ("c",), ("d",), ("__metadata__",)])
    | st.tuples(st.sampled_from("abc"), st.sampled_from(["dtype", "shape", "data_offsets", "more"])),
    VALUES,
    st.binary(max_size=4),
)
def test_a_changed_header_is_refused_or_read_as_the_library_reads_it(
    place: tuple[str, ...], value: Any, more: bytes
) -> None:
    header = json.loads(GOOD[8 : 8 + LENGTH])
    table = header if len(place) == 1 else header[place[0]]
    table[place[-1]] = value
    demand_no_more_than_the_library(whole(header, GOOD[8 + LENGTH :] + more))


def refused_by_the_library(content: bytes) -> bool:
    try:
        safetensors.numpy.load(content)
    except Exception:  # of any kind: the library raises KeyError, too
        return True
    return False


def test_the_vectors_that_the_library_refuses_are_among_those_that_are_refused() -> None:
    refused = sum(refused_by_the_library(content) for content in BAD.values())
    assert refused > 30  # the rest is stricter than the library: names twice, lists as entries, blanks before


def test_reading_a_header_takes_no_time_that_grows_with_the_square_of_its_length() -> None:
    import time

    start = time.perf_counter()
    names = {f"{number:06}": one(shape=[0], data_offsets=[0, 0]) for number in range(30_000)}
    assert len(read_header(whole(names), "file").tensors) == 30_000
    with pytest.raises(FedletheError):
        read_header(whole(b'{"a":' + b'"\\"' * 1_000_000), "file")
    assert time.perf_counter() - start < 10
