# SPDX-License-Identifier: MIT
"""Sources from outside: LabelledImages as they are, arrays of each client as one source's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fedlethe.data import DATASETS
from fedlethe.data.outside import OutsideSource, of_arrays
from fedlethe.data.phantom import Phantom
from fedlethe.deferred import Outside
from fedlethe.errors import FedletheError

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
    turned = of_arrays(dict(reversed(list(arrays().items()))), "here").fingerprint
    assert same == {turned}
    swapped = {"south": arrays()["north"], "north": arrays()["south"]}
    others = {of_arrays(one, "here").fingerprint for one in (arrays(2), swapped)}
    assert len(others | same) == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, r"here: gives a NoneType; return LabelledImages, or \{client"),
        ({}, "here: gives a dict"),
        ({"a": ONES}, r"here: client 'a': has a ndarray; give a pair \(images, labels\)"),
        ({"a": (ONES.astype(float), LABELS)}, r"client 'a': has images of float64, shape \(4, 8, 8\); give uint8"),
        ({"a": (ONES[0], LABELS)}, r"client 'a': has images of uint8, shape \(8, 8\)"),
        ({"a": (ONES[:0], LABELS[:0])}, r"client 'a': has images of uint8, shape \(0, 8, 8\)"),
        ({"a": (ONES, LABELS[:3])}, r"client 'a': has labels of uint8, shape \(3,\); give whole numbers .*\(4,\)"),
        ({"a": (ONES, LABELS - 1.0)}, "client 'a': has labels of float64"),
        ({"a": (ONES, np.array([0, 1, -1, 0]))}, "client 'a': has labels of int64"),
        ({"a": (ONES, LABELS), "b": (ONES[:, :4], LABELS)}, r"client 'b' has images of shape \(1, 4, 8\), and 'a'"),
    ],
)
def test_what_is_wrong_is_named_with_the_client(given: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=words):
        of_arrays(given, "here")


def test_a_function_that_gives_nothing_is_named() -> None:
    with pytest.raises(FedletheError, match=f"data source '{__name__}:nothing': gives a NoneType"):
        _source("nothing").load()
