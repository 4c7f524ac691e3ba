# SPDX-License-Identifier: MIT
"""A run of four hospitals, of which one is to be hidden."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.learners.training import train_run
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four hospitals, two rounds, batch norm: everything kept."""
    out = tmp_path_factory.mktemp("hiding") / "run"
    document: dict[str, Any] = {
        "data": {"source": "phantom", "size": 16, "hospitals": 4, "images_per_hospital": 30},
        "model": {"name": "small-cnn", "norm": "batch"},
        "federation": {"rounds": 2},
        "history": {"keep": "everything"},
        "backdoor": {"client": "hospital-1", "target": 0},
    }
    train_run(resolve(document), out)
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Iterator[OpenRun]:
    """A copy of it, open."""
    with opened_run(Path(shutil.copytree(trained, tmp_path / "run"))) as opened:
        yield opened
