# SPDX-License-Identifier: MIT
"""The command line as a user runs it, and a small finished run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

TINY = [
    "--set",
    "data.size=16",
    "--set",
    "data.hospitals=3",
    "--set",
    "data.images_per_hospital=40",
    "--local-epochs",
    "2",
]

Fedlethe = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def fedlethe() -> Fedlethe:
    """Runs a command in a process of its own with --json and returns its object."""

    def run(*arguments: str | Path) -> dict[str, Any]:
        command = [sys.executable, "-m", "fedlethe", *map(str, arguments), "--json"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        assert process.stderr == ""  # nothing is shown where stderr is no terminal
        result: dict[str, Any] = json.loads(process.stdout)
        return result

    return run


@pytest.fixture(scope="session")
def finished(fedlethe: Fedlethe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals, three rounds, everything kept, one hospital erased."""
    out = tmp_path_factory.mktemp("finished") / "run"
    fedlethe("train", *TINY, "--rounds", "3", "--keep", "everything", "--out", out)
    fedlethe("erase", out, "--client", "hospital-1", "--sigma", "0.001")
    return out


@pytest.fixture
def secrets_in_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and secrets that are the same whenever a test is run, and others in other tests."""
    numbers = itertools.count()

    def token_bytes(size: int) -> bytes:
        return sha256(f"{request.node.nodeid} {next(numbers)}".encode()).digest()[:size]

    monkeypatch.setattr("fedlethe.sealing.secrets.token_bytes", token_bytes)
