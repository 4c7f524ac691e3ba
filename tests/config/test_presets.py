# SPDX-License-Identifier: MIT
"""Presets, files, flags and assignments lie one over the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.config.presets import PRESETS, from_layers, given
from fedlethe.errors import ConfigError


def test_layers_lie_preset_file_flags_set(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[local]\nepochs = 3\nbatch_size = 4\nlearning_rate = 0.3\n")
    tables: dict[str, dict[str, Any]] = {
        "": {"seed": 9},
        "local": {"epochs": None, "batch_size": 5, "learning_rate": 0.4},
        "model": {"name": None},
    }
    result = from_layers(
        config=tmp_path / "run.toml", preset="paper", settings=["local.learning_rate=0.5"], tables=tables
    )
    local = {"epochs": 3, "batch_size": 5, "learning_rate": 0.5, "optimizer": "sgd", "momentum": 0.0}
    assert result["local"] == local
    assert result["seed"] == 9
    assert result["model"] == {"name": "resnet50"}


def test_what_lies_below_everything_is_covered_by_it() -> None:
    below = {"seed": 1, "local": {"epochs": 9.0}}
    found = from_layers(config=None, preset=None, settings=["seed=2"], tables={}, below=below)
    assert found == {"seed": 2, "local": {"epochs": 9.0}}
    assert below["seed"] == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_configuration(preset: str) -> None:
    assert resolve(PRESETS[preset]).document()["data"]["source"] == PRESETS[preset]["data"]["source"]


def test_an_unknown_preset_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="no preset 'papr'; did you mean 'paper'"):
        from_layers(config=None, preset="papr", settings=[], tables={})


def test_what_is_not_given_is_left_out() -> None:
    assert given({"a": None, "b": 0, "c": ""}) == {"b": 0, "c": ""}
