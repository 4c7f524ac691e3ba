# SPDX-License-Identifier: MIT
"""Data that a program hands over: arrays, data sets and sources become one source whose sites are the clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils.data import TensorDataset

from fedlethe.data.given import GivenSource, of_clients
from fedlethe.errors import DataError
from tests.data.sources import source

X, Y = np.arange(8, dtype=np.float32).reshape(4, 2), np.asarray([0, 1, 2, 1])


def pair(x: npt.NDArray[Any] = X, y: npt.NDArray[Any] = Y) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return x, y


def test_clients_lie_one_after_the_other_by_their_names() -> None:
    data = of_clients({"south": pair(), "north": pair(X + 100, Y[::-1])})
    assert data.sites is not None
    assert data.sites.tolist() == ["north"] * 4 + ["south"] * 4
    assert data.images[:, 0].tolist() == [100, 102, 104, 106, 0, 2, 4, 6]
    assert data.labels.tolist() == [1, 2, 1, 0, 0, 1, 2, 1]
    assert data.classes == ("0", "1", "2")


def test_arrays_tensors_and_data_sets_are_the_same_data() -> None:
    tensors = (torch.from_numpy(X), torch.from_numpy(Y))
    given: list[Any] = [pair(), tensors, TensorDataset(*tensors), pair(X.astype(np.float64))]
    forms = [of_clients({"a": one}) for one in given]
    assert len({data.fingerprint for data in forms}) == 1
    assert all(np.array_equal(data.images, X) and data.images.dtype == np.float32 for data in forms)


def test_images_stay_bytes_and_a_source_keeps_its_classes() -> None:
    data = of_clients({"a": GivenSource(images=source([0, 1, 1]))})
    assert (str(data.images.dtype), data.images.shape, data.classes) == ("uint8", (3, 1, 8, 8), ("no", "yes"))


def test_the_fingerprint_is_of_who_holds_what() -> None:
    held = [
        of_clients({"a": pair(), "b": pair()}),
        of_clients({"a": pair(), "c": pair()}),
        of_clients({"a": pair(X + 1), "b": pair()}),
        of_clients({"a": pair(y=Y[::-1]), "b": pair()}),
        of_clients({"a": pair()}),
    ]
    assert len({data.fingerprint for data in held}) == 5
    assert of_clients({"b": pair(), "a": pair()}).fingerprint == held[0].fingerprint


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        ({}, "a dict was given; give a mapping"),
        ([pair()], "a list was given; give a mapping"),
        ({"a": X}, r"client 'a': has x of float32, shape \(4,\)"),
        ({"a": [1, 2]}, "client 'a': has a list; give a pair of arrays"),
        ({"a": TensorDataset(torch.empty(0, 2), torch.empty(0))}, "client 'a': is empty"),
        ({"a": pair(X.astype(np.int32))}, "client 'a': has x of int32"),
        ({"a": pair(X[:, 0])}, r"client 'a': has x of float32, shape \(4,\)"),
        ({"a": pair(X * np.nan)}, "client 'a': x holds values that are not finite"),
        ({"a": pair(y=Y[:3])}, r"client 'a': has y of int64, shape \(3,\)"),
        ({"a": pair(y=Y - 1)}, "client 'a': has y of"),
        ({"a": pair(y=Y.astype(np.float32))}, "client 'a': has y of float32"),
        ({"a": pair(), "b": pair(X[:, :1])}, r"client 'b' has float32 of shape \(1,\)"),
        ({"a": pair(), "b": pair(X.astype(np.uint8))}, "client 'b' has uint8"),
        (
            {"a": GivenSource(images=source([0, 1])), "b": GivenSource(images=source([0, 1, 2]))},
            "the clients' sources have other classes",
        ),
    ],
)
def test_what_is_no_data_of_clients_is_named(clients: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_clients(clients)


def test_a_run_that_is_read_without_its_data_says_so() -> None:
    with pytest.raises(DataError, match="the run's data were"):
        GivenSource().load()
