# SPDX-License-Identifier: MIT
"""Data that a program hands over: arrays, data sets and sources become one source whose sites are the clients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from fedlethe.data.given import GivenSource, of_clients
from fedlethe.errors import DataError
from tests.data.sources import source

X, Y = np.arange(8, dtype=np.float32).reshape(4, 2), np.asarray([0, 1, 2, 1])


MASKED = source([0, 1])
MASKED = replace(MASKED, images=np.ma.masked_array(MASKED.images, mask=np.asarray(MASKED.images) >= 0))


def pair(x: npt.NDArray[Any] = X, y: npt.NDArray[Any] = Y) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return x, y


class Items:
    """A data set with numbered items that is no torch class."""

    def __init__(self, held: list[Any]) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, number: int) -> Any:
        return self.held[number]


class Broken(Items):
    """One whose files are gone."""

    def __getitem__(self, number: int) -> Any:
        raise OSError("no such disk")


def test_clients_lie_one_after_the_other_by_their_names() -> None:
    data = of_clients({"south": pair(), "north": pair(X + 100, Y[::-1])})
    assert data.sites is not None
    assert data.sites.tolist() == ["north"] * 4 + ["south"] * 4
    assert data.images[:, 0].tolist() == [100, 102, 104, 106, 0, 2, 4, 6]
    assert data.labels.tolist() == [1, 2, 1, 0, 0, 1, 2, 1]
    assert data.classes == ("0", "1", "2")


def test_arrays_tensors_and_data_sets_are_the_same_data() -> None:
    tensors = (torch.from_numpy(X), torch.from_numpy(Y))
    given: list[Any] = [
        pair(),
        tensors,
        TensorDataset(*tensors),
        pair(X.astype(np.float64)),
        pair(X.astype(">f4"), Y.astype(">i4")),
    ]
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
        ({}, "data: names no client; give each"),
        ({None: pair(), "a": pair()}, "data: a client is called None; give each a name, a text, or a whole number"),
        ({True: pair()}, "data: a client is called True; give"),
        ({b"a": pair()}, "data: a client is called b'a'; give"),
        ({("a", "b"): pair()}, r"data: a client is called \('a', 'b'\); give"),
        ([pair()], "data: has a list; give each client's data"),
        ({"a": X}, "client 'a': has a ndarray; give a pair of arrays"),
        ({"a": [1, 2]}, "client 'a': has a list; give a pair of arrays"),
        ({"a": TensorDataset(torch.empty(0, 2), torch.empty(0))}, "client 'a': is empty"),
        ({"a": pair(X.astype(np.bool_))}, "client 'a': has x of bool"),
        ({"a": pair(X[:, 0])}, r"client 'a': has x of float32, shape \(4,\); give each example a row"),
        ({"a": pair(X[:, :0])}, r"shape \(4, 0\); give at least one example"),
        ({"a": pair(np.ma.masked_array(X, mask=X > 5))}, "client 'a': holds masked values; leave these examples out"),
        ({"a": pair(y=np.ma.masked_array(Y, mask=Y > 1))}, "client 'a': holds masked values"),
        ({"a": Items([(np.ma.masked_array(X[0], mask=X[0] > 0), 0)])}, "client 'a': holds masked values"),
        ({"a": GivenSource(images=MASKED)}, "client 'a': holds masked values"),
        ({"a": pair(X * np.nan)}, "client 'a': x holds values that are not finite"),
        ({"a": pair(y=Y[:3])}, r"client 'a': has y of int64, shape \(3,\)"),
        ({"a": pair(y=Y - 1)}, "client 'a': y holds -1; give class numbers from 0"),
        ({"a": pair(y=Y.astype(np.float32))}, "client 'a': has y of float32"),
        ({"a": pair(), "b": pair(X[:, :1])}, r"client 'b' has float32 of shape \(1,\)"),
        ({"a": pair(), "b": pair(X.astype(np.uint8))}, "client 'b' has uint8"),
        (
            {"a": GivenSource(images=source([0, 1])), "b": GivenSource(images=source([0, 1, 2]))},
            "the clients' sources have other classes",
        ),
        ({1: pair(), "1": pair()}, "two clients are called '1'"),
        ({"a": GivenSource}, r"client 'a': has the class GivenSource; give an instance, GivenSource\(...\)"),
        ({"a": {"x": X, "y": Y}}, "client 'a': has a dict; give a pair"),
        ({"a": "north.npz"}, r"client 'a': has a str; give a pair .*as \{'source': NAME\}"),
        ({"a": torch.from_numpy(X)}, "client 'a': has a Tensor; give a pair"),
        ({"a": ([[1.0], [2.0, 3.0]], [0, 1])}, "client 'a': fails .ValueError"),
        ({"a": pair(np.full((4, 2), 1e300))}, "not finite in float32"),
        ({"a": pair(y=np.asarray(["no", "yes", "no", "yes"]))}, "client 'a': has y of <U3"),
        ({"a": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y) * 0.9)}, "client 'a': has y of float"),
        ({"a": TensorDataset(torch.from_numpy(X), torch.eye(4))}, r"items have y of shape \(4,\)"),
        ({"a": TensorDataset(torch.from_numpy(X))}, "its item 0 is a tuple, and no pair"),
        ({"a": Items([(X[0], 0), (X[0][:1], 1)])}, r"its items have x of other shapes \(\(1,\), \(2,\)\)"),
        ({"a": Items([])}, "client 'a': is empty"),
        ({"a": Broken([1])}, "client 'a': fails .OSError: no such disk"),
        (
            {"a": GivenSource(images=source([0, 1])), "b": pair(np.zeros((4, 8, 8), np.uint8))},
            "'b' has the label 2, and",
        ),
        ({"a": pair(y=Y + 2**15)}, "has the label 32770, and there can be 32768 classes"),
    ],
)
def test_what_is_no_data_of_clients_is_named(clients: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_clients(clients)


def test_a_run_that_is_read_without_its_data_says_so() -> None:
    with pytest.raises(DataError, match="the run's data were"):
        GivenSource().load()


def test_tensors_with_a_gradient_bfloat16_and_pictures_are_read() -> None:
    tensor = torch.from_numpy(X).requires_grad_()
    assert np.array_equal(of_clients({"a": (tensor, Y)}).images, X)
    assert np.array_equal(of_clients({"a": (torch.from_numpy(X).bfloat16(), Y)}).images, X)
    picture = Image.fromarray(np.full((6, 5), 7, np.uint8))
    assert of_clients({"a": Items([(picture, np.array([1])), (picture, 0)])}).images.shape == (2, 1, 6, 5)


def test_patients_and_official_splits_of_sources_stay() -> None:
    """Else a patient's images would lie in training and test, and nobody would see it."""
    known = replace(source([0, 1, 1]), groups=np.array(["p", "p", "q"]), splits=np.array(["train", "train", "test"]))
    data = of_clients({"b": GivenSource(images=known), "c": GivenSource(images=known)})
    assert data.groups is not None
    assert data.groups.tolist() == ["p", "p", "q"] * 2
    assert data.splits is not None
    assert data.splits.tolist() == ["train", "train", "test"] * 2
    plain = pair(np.zeros((4, 1, 8, 8), np.uint8), Y % 2)
    mixed = of_clients({"b": GivenSource(images=replace(known, splits=None)), "a": plain})
    assert mixed.groups is not None
    assert mixed.groups.tolist() == ["a/0", "a/1", "a/2", "a/3", "p", "p", "q"]
    with pytest.raises(DataError, match="client 'b' has official splits, and 'a' has none"):
        of_clients({"b": GivenSource(images=known), "a": plain})
