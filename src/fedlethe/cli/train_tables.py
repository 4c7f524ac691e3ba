# SPDX-License-Identifier: MIT
"""From what was typed to the tables of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fedlethe
from fedlethe.cli import flags
from fedlethe.config.presets import from_layers
from fedlethe.errors import ConfigError

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
        What became of it, a `learners.training.Trained`.
    """
    from fedlethe.runs.cached_images import document_of_run

    after, methods = typed["after"], typed["methods"]
    tables = flags.tables_of(typed, TABLES)
    tables["history"] = {"keep": typed["keep"], "methods": None if methods is None else methods.split(",")}
    new = any(typed[name] is not None for name in ("config", "preset", "data"))
    below = {} if after is None or new else document_of_run(after)
    if below and typed["learner"] not in (None, learner := below.get("learner", "fedavg")):
        raise ConfigError(f"--learner {typed['learner']}: {after} is a model of learner '{learner}'; leave it out")
    document = from_layers(
        config=typed["config"],
        preset=typed["preset"],
        below=below,
        settings=typed["set_"] or [],
        tables=tables,
    )
    return fedlethe.train(config=document, out=typed["out"], after=after, take_back=typed["take_back"] or ()).trained
