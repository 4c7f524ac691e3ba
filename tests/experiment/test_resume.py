# SPDX-License-Identifier: MIT
"""A killed training goes on after its last complete round and ends bit for bit where an uninterrupted one ends."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.experiment.conftest import TINY, Fedlethe

ROUNDS = "14"
ARGUMENTS = [*TINY, "--rounds", ROUNDS, "--participation", "0.7", "--keep", "everything"]


@pytest.fixture(scope="module")
def uninterrupted(fedlethe: Fedlethe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(fedlethe("train", *ARGUMENTS, "--out", tmp_path_factory.mktemp("whole") / "run")["run"])


@pytest.mark.parametrize("after", [None, 1, 4, 7])
def test_a_kill_at_any_moment_changes_nothing(
    after: int | None, uninterrupted: Path, fedlethe: Fedlethe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "fedlethe", "train", *ARGUMENTS, "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    begun = run / ("run.toml" if after is None else f"global_checkpoints/round_{after:04d}.safetensors")
    while process.poll() is None and not begun.exists():
        time.sleep(0.002)
    time.sleep(random.Random(after).uniform(0, 0.1))  # somewhere in the next round
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    result = fedlethe("train", "--out", run)  # the run knows its own configuration
    assert result["rounds"] == int(ROUNDS)
    for name in ("global_checkpoints", "influence", "client_checkpoints"):
        whole = {path.relative_to(uninterrupted): path.read_bytes() for path in (uninterrupted / name).rglob("*.*")}
        assert {path.relative_to(run): path.read_bytes() for path in (run / name).rglob("*.*")} == whole
    fedlethe("history", "--check", run)
