# SPDX-License-Identifier: MIT
"""Whole configurations by name, and the layers that lie over them: TOML files, and what they would hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from fedlethe.document import Document, entry, layered, read_toml

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


Layer: TypeAlias = Document | Path | str
"""A TOML file, or what it would hold."""


def from_layers(config: Layer | Sequence[Layer] | None, preset: str | None, below: Document | None = None) -> Document:
    """A preset and configurations, one over the other.

    Args:
        config: One, or several, the last on top.
        preset: A row of PRESETS.
        below: What all of it lies over; None for nothing.

    Raises:
        FedletheError: A file cannot be read, or a name is not there.
    """
    base = {} if preset is None else entry("preset", preset, PRESETS)
    several = [config] if isinstance(config, (dict, Path, str)) else config or []
    over = (read_toml(Path(one)) if isinstance(one, (Path, str)) else one for one in several)
    return layered(below or {}, base, *over)
