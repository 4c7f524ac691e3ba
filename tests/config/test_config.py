# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.config.presets import PRESETS
from fedlethe.data.medmnist import MedMnist
from fedlethe.document import Document, assignments, layered, read_toml
from fedlethe.errors import FedletheError
from fedlethe.models.resnet import ResNet50
from fedlethe.runs.run_toml import toml_text
from fedlethe.types import EVERYTHING, Need


def test_the_papers_preset() -> None:
    config = resolve(PRESETS["paper"])
    assert config.model == ResNet50()
    assert config.partition.clients == 5
    assert config.federation.rounds == 15
    local = config.local
    assert (local.epochs, local.batch_size, local.optimizer, local.learning_rate) == (7, 16, "sgd", 0.005)
    assert config.document()["data"]["size"] == 128
    assert config.history.needs() == EVERYTHING


def test_needed_keeps_what_the_methods_need_and_the_start_of_every_reference() -> None:
    needs = {
        methods: resolve({"history": {"methods": methods}}).history.needs()
        for methods in [("influence",), ("retrain",)]
    }
    assert needs == {
        ("influence",): frozenset({Need.INITIAL, Need.INFLUENCE}),
        ("retrain",): frozenset({Need.INITIAL}),
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_is_read_again(preset: str, tmp_path: Path) -> None:
    config = resolve(layered(PRESETS[preset], {"method": {"influence": {"clip": float("inf")}}, "seed": 3}))
    (tmp_path / "run.toml").write_text(toml_text(config.document()))
    assert resolve(read_toml(tmp_path / "run.toml")) == config


def test_assignments_are_toml_values_or_else_texts() -> None:
    assert assignments(["a=1", "b=[1, 2]", "c=true", "d=adam", "e=x=y"]) == {
        "a": 1,
        "b": [1, 2],
        "c": True,
        "d": "adam",
        "e": "x=y",
    }


def test_options_reach_their_constructor() -> None:
    config = resolve({"data": {"source": "medmnist", "flag": "bloodmnist", "root": "somewhere"}})
    assert config.source == MedMnist(flag="bloodmnist", root=Path("somewhere"))
    assert config.document()["data"]["root"] == str(Path("somewhere").resolve())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"data": {"flag": "x"}, "seed": 0}, "no option 'flag'"),
        ({"data": 3}, r"must be a table, \[data\]"),
        ({"federation": {"rounds": "many"}}, "'rounds'"),
        ({"method": {"influence": {"scale": -1}}}, "scale must be"),
        ({"method": {"oblivion": {}}}, "no method 'oblivion'"),
        ({"seed": "x"}, "seed"),
        ({"seed": True}, "seed: a whole number is wanted, not true"),
        ({"federation": {"rounds": True}}, "federation 'rounds': a whole number is wanted, not true"),
        ({"local": {"learning_rate": True}}, "local 'learning_rate': a number is wanted, not true"),
        (
            {"recipe": {"g": {"method": "influence", "repair": {"rouns": 2}}}},
            "recipe 'g': repair: no option 'rouns'; did you mean 'rounds'",
        ),
        ({"recipe": {"g": {"method": "influence", "repair": {"rounds": -1}}}}, "repair rounds must be at least 0"),
        ({"recipe": {"g": {"method": "influence", "options": {"scales": 1}}}}, "did you mean 'scale'"),
    ],
)
def test_what_is_wrong_is_named(wrong: Document, words: str) -> None:
    with pytest.raises(FedletheError, match=words):
        resolve(wrong)


@pytest.mark.parametrize("document", [{"learner": "exact"}, {"exact": {"penalty": 1.0}}])
def test_the_old_name_of_the_closed_form_says_what_to_write(document: dict[str, Any]) -> None:
    with pytest.raises(
        FedletheError, match=r"run\.toml: the learner 'exact' is called 'closed-form' now.*\[closed_form\]"
    ):
        resolve(document, "run.toml")


def test_what_follows_from_an_aggregator_that_is_not_the_mean() -> None:
    config = resolve({"aggregator": {"name": "median"}})
    assert config.history.methods == ()
    assert config.keep == {Need.INITIAL}
    assert (config.usual_method, config.recipe("recommended").method) == ("retrain", "retrain")
    assert config.document()["aggregator"] == {"name": "median"}
    again = resolve(config.document(), recorded={})
    assert (again.learning, again.history) == (config.learning, config.history)
    everything = resolve({"aggregator": {"name": "median"}, "history": {"keep": "everything"}})
    assert everything.keep == {Need.INITIAL, Need.GLOBALS}
    mean = resolve({"aggregator": {"name": "mean"}})
    assert mean == resolve({})
    assert mean.recipe("recommended").method == mean.usual_method == "influence"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"method": {"fed_eraser": {"ratio": 0.5}}}, r"\[method\]: method 'fed_eraser' needs"),
        ({"recipe": {"mine": {"method": "influence"}}}, r"\[recipe\]: method 'influence' needs"),
        ({"learner": "closed-form"}, r"\[aggregator\] is of learner 'fedavg'"),
    ],
)
def test_what_does_not_go_with_it_is_refused(document: Document, words: str) -> None:
    with pytest.raises(FedletheError, match=words):
        resolve({"aggregator": {"name": "median"}, **document})
