# SPDX-License-Identifier: MIT
"""From what was typed to the tables of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fedlethe
from fedlethe.cli import flags

TABLES = {
    **flags.OF_DATA,
    "": ("seed", "learner"),
    "features": ("features",),
    "closed_form": ("dimension", "penalty"),
    "model": ("model", "norm", "weights"),
    "federation": ("rounds", "participation"),
    "local": ("local_epochs", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay"),
    "aggregator": ("aggregator",),
    "execution": ("device", "precision"),
}
"""The tables of a configuration, and the options of `train` that set their keys."""


def train_as_typed(typed: Mapping[str, Any]) -> Any:
    """Train as the command line says.

    Args:
        typed: Each option of `train`, by its name.

    Returns:
        What became of it, a `results.Trained`.
    """
    # One text with commas on the command line, a list in the configuration.
    methods = typed["methods"]
    history = {"keep": typed["keep"], "methods": None if methods is None else methods.split(",")}
    run = fedlethe.train(
        config=flags.layers(typed, TABLES, history=history),
        preset=typed["preset"],
        out=typed["out"],
        after=typed["after"],
        take_back=typed["take_back"] or (),
    )
    return run.trained
