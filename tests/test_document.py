# SPDX-License-Identifier: MIT
"""Tables lie one over the other, and become the objects that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fedlethe.document import Document, construct, entry, layered, name_and_options, read_toml
from fedlethe.errors import FedletheError


def test_a_table_that_names_another_source_replaces_the_one_below() -> None:
    below: Document = {"data": {"source": "phantom", "hospitals": 3}, "local": {"epochs": 2, "batch_size": 8}}
    above: Document = {"data": {"source": "medmnist", "flag": "pneumoniamnist"}, "local": {"epochs": 1}}
    assert layered(below, above) == {
        "data": {"source": "medmnist", "flag": "pneumoniamnist"},
        "local": {"epochs": 1, "batch_size": 8},
    }
    assert layered(below, {"data": {"size": 16}})["data"] == {"source": "phantom", "hospitals": 3, "size": 16}


@dataclass(frozen=True)
class Thing:
    """Something with options."""

    size: int
    name: str = "thing"
    weights: tuple[float, ...] = ()
    loud: bool = False


def test_a_table_becomes_an_object() -> None:
    assert construct(Thing, {"size": 3}, "thing") == Thing(3)
    assert construct(Thing, {"size": 3, "loud": True}, "thing") == Thing(3, loud=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"size": "three"}, "thing 'size': input should be a valid integer"),
        ({}, "thing 'size': field required"),
        ({"size": True}, "thing 'size': a number is wanted, not true"),
        ({"size": 3, "weights": [1.0, False]}, r"thing 'weights': a number is wanted, not \[1.0, false\]"),
        ({"sise": 3}, "thing: no option 'sise'; did you mean 'size'"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(FedletheError, match=words):
        construct(Thing, values, "thing")


def test_a_row_by_its_name() -> None:
    assert entry("method", "a", {"a": 1, "b": 2}) == 1
    with pytest.raises(FedletheError, match="no method 'c'; there is a, b"):
        entry("method", "c", {"a": 1, "b": 2})


def test_the_name_is_taken_off_the_table() -> None:
    table = {"name": "resnet18", "norm": "group"}
    assert name_and_options(table, "name", "model") == ("resnet18", {"norm": "group"})
    assert table == {"name": "resnet18", "norm": "group"}


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(FedletheError, match=r"config\.toml: there is no such configuration file"):
        read_toml(path)
    path.write_text("seed = 0\nrounds =\n")
    with pytest.raises(FedletheError, match=r"config\.toml: cannot be read as TOML \(.*line 2"):
        read_toml(path)
