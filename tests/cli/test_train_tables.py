# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import typer

import fedlethe
from fedlethe.cli.app import app
from fedlethe.cli.flags import KEYS
from fedlethe.cli.train_tables import TABLES, train_as_typed
from fedlethe.config import RunConfig, resolve
from fedlethe.config.presets import from_layers


def options_of_train() -> list[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    return [str(parameter.name) for parameter in group.commands["train"].params]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the public face is asked to train, in place of a training."""
    asked: list[dict[str, Any]] = []

    class Done:
        trained = "trained"

    def train(**options: Any) -> Done:
        asked.append(options)
        return Done()

    monkeypatch.setattr(fedlethe, "train", train)
    return asked


def typed(**given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(options_of_train()), **given}


def test_every_option_of_train_sets_something() -> None:
    """An option that no table takes up would be read and forgotten."""
    taken = {option for options in TABLES.values() for option in options}
    elsewhere = {"keep", "methods", "config", "preset", "set_", "out", "after", "take_back", "json"}
    assert taken | elsewhere == set(options_of_train())


def test_every_key_that_an_option_sets_is_known(told: list[dict[str, Any]], tmp_path: Path) -> None:
    given = {
        "partition": "iid",
        "clients": 3,
        "norm": "batch",
        "model": "resnet18",
        "rounds": 4,
        "participation": 0.5,
        "local_epochs": 1.5,
        "optimizer": "adam",
        "precision": "float32",
        "seed": 9,
        "keep": "everything",
        "methods": "influence,pga",
        "data": "phantom",
        "size": 16,
    }
    assert train_as_typed(typed(**given, out=tmp_path)) == "trained"
    config: RunConfig = resolve(from_layers(told[0]["config"], told[0]["preset"]))
    assert (config.seed, config.federation.rounds, config.federation.participation) == (9, 4, 0.5)
    assert (config.local.epochs, config.local.optimizer) == (1.5, "adam")
    assert (config.partition.scheme, config.partition.clients) == ("iid", 3)
    assert (config.model_name, config.source_name) == ("resnet18", "phantom")
    assert config.history.methods == ("influence", "pga")
    assert told[0]["out"] == tmp_path
    assert told[0]["take_back"] == ()


def test_names_that_differ_are_those_of_options_that_exist() -> None:
    assert set(KEYS) <= set(options_of_train())


def test_the_file_lies_below_the_options_and_these_below_what_is_set(told: list[dict[str, Any]]) -> None:
    given = {"config": Path("c.toml"), "rounds": 2, "seed": 5, "set_": ["federation.rounds=3", "data.size=24"]}
    train_as_typed(typed(**given, after=Path("RUN/erasures/0001"), preset="demo", out="o"))
    file, options, settings = told[0]["config"]
    assert file == Path("c.toml")
    assert options == {"seed": 5, "federation": {"rounds": 2}}
    assert settings == {"federation": {"rounds": 3}, "data": {"size": 24}}
    assert (told[0]["preset"], told[0]["after"]) == ("demo", Path("RUN/erasures/0001"))


def test_nothing_typed_is_no_layer_with_anything_in_it(told: list[dict[str, Any]]) -> None:
    """An empty configuration resumes the run that the folder holds."""
    train_as_typed(typed(out="o"))
    assert from_layers(told[0]["config"], None) == {}
