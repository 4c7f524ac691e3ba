# SPDX-License-Identifier: MIT
"""What all tests share: a cache of their own, and the real data where there are some."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of the tests and their children would fight over the cores

import io
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fedlethe.cli.entry import run

settings.register_profile("fedlethe", deadline=None, derandomize=True)
settings.load_profile("fedlethe")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to one temporary folder for the session, so that they are decoded once.

    Flower's home is a temporary folder, too: a purge cleans the record that it finds there.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDLETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("FEDLETHE_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("FLWR_HOME", str(tmp_path_factory.mktemp("flwr")))
        patch.delenv("FEDLETHE_FLOWER_STATE", raising=False)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, $FEDLETHE_DATA; tests that need it are skipped where it is not set."""
    if not (folder := os.environ.get("FEDLETHE_DATA")):
        pytest.skip("FEDLETHE_DATA is not set")
    return Path(folder)


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

PROGRESS = re.compile(r"^.+: [\d,]+( of [\d,]+)? after [\d,]+ s(, about [\d,]+ s left)?\n", re.MULTILINE)


def but_for_progress(told: str) -> str:
    """What is on stderr besides the lines that long work writes: on a slow machine a test's may be long."""
    return PROGRESS.sub("", told)


@pytest.fixture(scope="session")
def fedlethe() -> Fedlethe:
    """Runs a command with --json in this process and returns its object: a process of its own takes seconds to begin.

    `spawned` begins one, for tests of what only another process can show.
    """

    def command(*arguments: str | Path) -> dict[str, Any]:
        printed, told = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(told):
            code, message = run([*map(str, arguments), "--json"])
        assert (code, message, but_for_progress(told.getvalue())) == (0, None, "")
        result: dict[str, Any] = json.loads(printed.getvalue())
        return result

    return command


@pytest.fixture(scope="session")
def spawned() -> Fedlethe:
    """Runs a command with --json in a process of its own and returns its object."""

    def command(*arguments: str | Path) -> dict[str, Any]:
        line = [sys.executable, "-m", "fedlethe", *map(str, arguments), "--json"]
        process = subprocess.run(line, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        assert but_for_progress(process.stderr) == ""
        result: dict[str, Any] = json.loads(process.stdout)
        return result

    return command


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

    monkeypatch.setattr("fedlethe.history.sealing.secrets.token_bytes", token_bytes)
