# SPDX-License-Identifier: MIT
"""What the examples in docstrings of the public face take for granted: a trained run, `run`, fresh for each."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@functools.cache
def _trained(folder: Path) -> dict[str, Any]:
    """What a run of three clients was made of, trained once in a process."""
    import torch

    import fedlethe

    torch.manual_seed(0)
    x, y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 2
    given = {
        "model": torch.nn.Linear(6, 2),
        "data": {name: (x + shift, y) for name, shift in (("east", 0), ("south", -1), ("west", 1))},
    }
    history = {"keep": "everything"}
    fedlethe.train(**given, out=folder, rounds=2, local={"epochs": 1}, history=history)
    return given


@pytest.fixture(autouse=True)
def _run_of_the_examples(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not (isinstance(request.node, pytest.DoctestItem) and request.node.name.startswith("fedlethe.public.run_")):
        return
    import fedlethe

    base = tmp_path_factory.getbasetemp() / "trained for the examples"
    given, own = _trained(base), tmp_path_factory.mktemp("example")
    shutil.copytree(base, own / "run")
    doctest_namespace |= {"fedlethe": fedlethe, "run": fedlethe.open_run(own / "run", **given)}
