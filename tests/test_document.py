# SPDX-License-Identifier: MIT
"""Tables lie one over the other, and become the objects that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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


def test_a_table_that_chooses_anew_takes_what_its_choice_uses() -> None:
    below: Document = {"partition": {"scheme": "dirichlet", "clients": 8, "alpha": 0.3, "max_examples": 9}}
    assert layered(below, {"partition": {"scheme": "iid"}})["partition"] == {
        "scheme": "iid",
        "clients": 8,
        "max_examples": 9,
    }
    typed: Document = {"partition": {"scheme": "site", "alpha": 0.5}}  # which is for the user to put right
    assert layered(below, typed)["partition"] == {**typed["partition"], "max_examples": 9}
    sgd: Document = {"local": {"optimizer": "sgd", "momentum": 0.5, "epochs": 2}}
    assert layered(sgd, {"local": {"optimizer": "adam"}})["local"] == {"optimizer": "adam", "epochs": 2}


@dataclass(frozen=True)
class Thing:
    """Something with options."""

    size: int
    name: str = "thing"
    weights: tuple[float, ...] = ()
    loud: bool = False
    mood: Literal["calm", "glad"] = "calm"
    table: dict[str, int] = field(default_factory=dict)
    path: Path = Path()
    limit: int | None = None


def test_a_table_becomes_an_object() -> None:
    assert construct(Thing, {"size": 3}, "thing") == Thing(3)
    assert construct(Thing, {"size": 3, "loud": True}, "thing") == Thing(3, loud=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"size": "three"}, "thing 'size': a whole number is wanted, not 'three'"),
        ({"size": "3"}, "thing 'size': a whole number is wanted, not '3'"),
        ({"size": 3.5}, "thing 'size': a whole number is wanted, not 3.5"),
        ({"size": [3]}, r"thing 'size': a whole number is wanted, not \[3\]"),
        ({"size": None}, "thing 'size': a whole number is wanted, not None"),
        ({}, "thing 'size': is missing; give it"),
        ({"size": True}, "thing 'size': a whole number is wanted, not true"),
        ({"size": 3, "name": 5}, "thing 'name': a text is wanted, not 5"),
        ({"size": 3, "name": "x" * 200 + "y", "weights": "x"}, "thing 'weights': a list is wanted, not 'x'"),
        ({"size": 3, "weights": [1.0, False]}, "thing 'weights': a number is wanted, not false"),
        ({"size": 3, "weights": [1.0, "2"]}, "thing 'weights': a number is wanted, not '2'"),
        ({"size": 3, "weights": 1.0}, "thing 'weights': a list is wanted, not 1.0"),
        ({"size": 3, "loud": 1}, "thing 'loud': true or false is wanted, not 1"),
        ({"size": 3, "loud": "yes"}, "thing 'loud': true or false is wanted, not 'yes'"),
        ({"size": 3, "mood": "sad"}, "thing 'mood': 'calm' or 'glad' is wanted, not 'sad'"),
        ({"size": 3, "table": 4}, "thing 'table': a table is wanted, not 4"),
        ({"size": 3, "table": {"a": "b"}}, "thing 'table' 'a': a whole number is wanted, not 'b'"),
        ({"size": 3, "path": 4}, "thing 'path': a path is wanted, not 4"),
        ({"size": 3, "limit": "x"}, "thing 'limit': a whole number is wanted, not 'x'"),
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
    path.write_text("seed = 0\nseed = 1\n")
    with pytest.raises(FedletheError, match=r"config\.toml: cannot be read as TOML \(Key \"seed\" already exists"):
        read_toml(path)
    path.write_text("seed = 0\nrounds =\n")
    with pytest.raises(FedletheError, match=r"config\.toml: cannot be read as TOML \(.*line 2"):
        read_toml(path)
