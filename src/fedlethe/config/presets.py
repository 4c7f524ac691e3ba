# SPDX-License-Identifier: MIT
"""Whole configurations by name, and the layers that lie over them: a TOML file, then what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedlethe.document import Document, assignments, entry, layered, read_toml

PRESETS: dict[str, Document] = {
    "paper": {
        "data": {"source": "covid-radiography", "size": 128},
        "partition": {"scheme": "iid", "clients": 5},
        "model": {"name": "resnet50"},
        "federation": {"rounds": 15},
        "local": {"epochs": 7, "batch_size": 16, "optimizer": "sgd", "learning_rate": 0.005, "momentum": 0.0},
        "history": {"keep": "everything"},
    },
    "demo": {
        "data": {"source": "phantom"},
        "model": {"name": "small-cnn"},
        "federation": {"rounds": 10},
        "local": {"epochs": 2, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.003},
        "history": {"keep": "everything"},
    },
}


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given: those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def from_layers(
    *,
    config: Path | None,
    preset: str | None,
    settings: Sequence[str],
    tables: Mapping[str, Mapping[str, Any]],
    below: Document | None = None,
) -> Document:
    """Preset, TOML file, flags and `--set` assignments, one over the other.

    Args:
        config: A TOML file.
        preset: A row of PRESETS.
        settings: `TABLE.KEY=VALUE`, the value as TOML writes it.
        tables: Table to the values of its flags; None for a flag that is not given. '' stands for the top level.
        below: What all of it lies over; None for nothing.

    Raises:
        FedletheError: The file cannot be read, or a name is not there.
    """
    flags: Document = {}
    for name, values in tables.items():
        if kept := given(values):
            flags.update(kept if name == "" else {name: kept})
    for path, value in assignments(settings).items():
        *parents, key = path.split(".")
        nested: Document = {key: value}
        for parent in reversed(parents):
            nested = {parent: nested}
        flags = layered(flags, nested)
    base = {} if preset is None else entry("preset", preset, PRESETS)
    return layered(below or {}, base, {} if config is None else read_toml(config), flags)
