# SPDX-License-Identifier: MIT
"""Sources from outside: LabelledImages as they are, arrays of each client as one source's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from fedlethe.data import DATASETS
from fedlethe.data.given import of_clients
from fedlethe.data.outside_source import OutsideSource
from fedlethe.data.phantom import Phantom
from fedlethe.errors import FedletheError
from fedlethe.outside.deferred import Outside

ONES = np.ones((4, 8, 8), np.uint8)
LABELS = np.array([0, 1, 2, 1], np.uint8)


def arrays(scale: int = 1) -> Any:
    return {"south": (ONES * scale, LABELS), "north": (ONES[:2] * 0, LABELS[:2])}


def nothing() -> None:
    return None


@dataclass(frozen=True)
class Drawn:
    """A dataclass that hands on LabelledImages."""

    size: int = 16

    def load(self) -> Any:
        return Phantom(hospitals=2, images_per_hospital=4, size=self.size).load()


def _source(name: str, **options: Any) -> OutsideSource:
    return OutsideSource(outside=Outside(registry=DATASETS, name=f"{__name__}:{name}", options=options))


def test_a_functions_arrays_become_images_of_named_sites() -> None:
    loaded = _source("arrays", scale=3).load()
    assert loaded.images.shape == (6, 1, 8, 8)
    assert loaded.images[:2].max() == 0  # north comes first
    assert loaded.images[2:].min() == 3
    assert loaded.sites is not None
    assert loaded.sites.tolist() == ["north"] * 2 + ["south"] * 4
    assert loaded.labels.tolist() == [0, 1, 0, 1, 2, 1]
    assert loaded.labels.dtype == np.int64
    assert loaded.classes == ("0", "1", "2")


def test_a_dataclass_may_give_labelled_images() -> None:
    assert _source("Drawn", size=24).load().images.shape == (8, 1, 24, 24)


def test_the_fingerprint_is_of_the_content_and_of_who_holds_it() -> None:
    same = {_source("arrays").load().fingerprint for _ in range(2)}
    turned = of_clients(dict(reversed(list(arrays().items()))), "here").fingerprint
    assert same == {turned}
    swapped = {"south": arrays()["north"], "north": arrays()["south"]}
    others = {of_clients(one, "here").fingerprint for one in (arrays(2), swapped)}
    assert len(others | same) == 3


def floats() -> Any:
    return {"a": (np.ones((4, 3)), LABELS), "b": (np.zeros((4, 3)), LABELS)}


def test_floats_of_any_rank_are_taken_as_they_are() -> None:
    loaded = _source("floats").load()
    assert loaded.images.shape == (8, 3)
    assert str(loaded.images.dtype) == "float32"


def other_labels() -> Any:
    return replace(Drawn().load(), labels=np.full(8, 7))


def short_sites() -> Any:
    return replace(Drawn().load(), sites=np.array(["a", "b"]))


def odd_split() -> Any:
    return replace(Drawn().load(), splits=np.array(["train"] * 7 + ["exam"]))


def nameless() -> Any:
    return replace(Drawn().load(), fingerprint="")


def complex_numbers() -> Any:
    return replace(Drawn().load(), images=np.zeros((8, 1, 16, 16), np.complex64))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other_labels", "has the label 7, and its classes are"),
        ("short_sites", r"has sites of shape \(2,\); give an array of texts, shape \(8,\)"),
        ("odd_split", "has the split 'exam'; there is train, validation, test"),
        ("nameless", "has no fingerprint"),
        ("complex_numbers", "has x of complex64"),
    ],
)
def test_labelled_images_that_are_not_what_they_must_be_are_named(name: str, words: str) -> None:
    with pytest.raises(FedletheError, match=f"data source '{__name__}:{name}': {words}"):
        _source(name).load()


def test_a_function_that_gives_nothing_is_named() -> None:
    with pytest.raises(
        FedletheError, match=f"data source '{__name__}:nothing': has a NoneType; give each client's data"
    ):
        _source("nothing").load()
