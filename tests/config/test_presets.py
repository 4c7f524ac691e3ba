# SPDX-License-Identifier: MIT
"""Presets, files and what they would hold lie one over the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedlethe.config import resolve
from fedlethe.config.presets import PRESETS, from_layers
from fedlethe.errors import ConfigError


def test_layers_lie_preset_file_and_what_a_file_would_hold(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[local]\nepochs = 3\nbatch_size = 4\nlearning_rate = 0.3\n")
    over = {"seed": 9, "local": {"batch_size": 5, "learning_rate": 0.4}}
    result = from_layers([file, over, {"local": {"learning_rate": 0.5}}], "paper")
    local = {"epochs": 3, "batch_size": 5, "learning_rate": 0.5, "optimizer": "sgd", "momentum": 0.0}
    assert result["local"] == local
    assert result["seed"] == 9
    assert result["model"] == {"name": "resnet50"}
    assert from_layers(file, None) == from_layers(str(file), None) == from_layers([file], None)
    assert from_layers(None, None) == from_layers([], None) == {}


def test_what_lies_below_everything_is_covered_by_it() -> None:
    below = {"seed": 1, "local": {"epochs": 9.0}}
    assert from_layers({"seed": 2}, None, below) == {"seed": 2, "local": {"epochs": 9.0}}
    assert below["seed"] == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_configuration(preset: str) -> None:
    assert resolve(PRESETS[preset]).document()["data"]["source"] == PRESETS[preset]["data"]["source"]


def test_an_unknown_preset_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="no preset 'papr'; did you mean 'paper'"):
        from_layers(None, "papr")
