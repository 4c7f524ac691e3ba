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

from fedlethe.runs.run_toml import opened_folder
from tests.conftest import TINY, Fedlethe

ROUNDS = "14"
ARGUMENTS = [*TINY, "--rounds", ROUNDS, "--participation", "0.7", "--keep", "everything"]
PLAIN = ["--set", "encrypt=false"]


@pytest.fixture(scope="module")
def uninterrupted(spawned: Fedlethe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(spawned("train", *ARGUMENTS, *PLAIN, "--out", tmp_path_factory.mktemp("whole") / "run")["run"])


def _kept(run: Path) -> dict[str, bytes]:
    """Every model, delta, influence and norm by its place, as it is without its seal."""
    with opened_folder(run) as (_, history):
        held = history.ledger.artefacts().values()
        return {one.path.rpartition(".")[0]: history.store.content(one) for one in held if one.kind != "configuration"}


@pytest.mark.parametrize(("after", "plain"), [(None, True), (1, False), (4, True), (7, False)])
def test_a_kill_at_any_moment_changes_nothing(
    after: int | None, plain: bool, uninterrupted: Path, fedlethe: Fedlethe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "fedlethe", "train", *ARGUMENTS, *(PLAIN if plain else ()), "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    begun = run / ("run.toml" if after is None else f"global_checkpoints/round_{after:04d}.safetensors")
    while process.poll() is None and not begun.exists():
        time.sleep(0.002)
    time.sleep(random.Random(after).uniform(0, 0.1))  # somewhere in the next round
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    result = fedlethe("train", "--out", run)  # the run knows its own configuration
    assert result["rounds"] == int(ROUNDS)
    assert _kept(run) == _kept(uninterrupted)
    assert len(list(run.rglob("*.sealed"))) == (0 if plain else 2 * 2 * int(ROUNDS) + 3)  # two take part, three have
    fedlethe("history", "--check", run)
