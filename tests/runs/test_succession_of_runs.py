# SPDX-License-Identifier: MIT
"""One hospital leaves, then another, then the first comes back with other data: as users would do it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fedlethe.runs.opening import opened_run
from tests.conftest import TINY, Fedlethe

NO_REPAIR = ["--repair-rounds", "0"]


@pytest.fixture(scope="module")
def run(fedlethe: Fedlethe, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hospital-1 erased by retraining (0002; the fixture's own is 0001), hospital-2 from the result of that (0003)."""
    copy = Path(shutil.copytree(finished, tmp_path_factory.mktemp("succession") / "run"))
    fedlethe("erase", copy, "--client", "hospital-1", "--method", "retrain", "--repair-rounds", "1")
    fedlethe("erase", copy, "--client", "hospital-2", "--method", "retrain", "--after", "0002", *NO_REPAIR)
    return copy


@pytest.fixture(scope="module")
def returned(fedlethe: Fedlethe, run: Path) -> Path:
    """A second training after 0001, hospital-1 in it again, all with other images."""
    out = run.parent / "returned"
    after = ["--after", run / "erasures" / "0001", "--set", "data.seed=7", "--take-back", "hospital-1"]
    fedlethe("train", *TINY, "--rounds", "2", "--keep", "everything", *after, "--out", out)
    return out


def _model(run: Path, id: str) -> bytes:
    return (run / "erasures" / id / "model.safetensors").read_bytes()


def test_one_after_the_other_by_retraining_is_both_at_once(fedlethe: Fedlethe, run: Path) -> None:
    both = ["--client", "hospital-1", "--client", "hospital-2"]
    at_once = fedlethe("erase", run, *both, "--method", "retrain", *NO_REPAIR)
    assert _model(run, "0003") == Path(at_once["model"]).read_bytes()
    one_by_one = json.loads((run / "erasures" / "0003" / "erasure.json").read_text())
    assert one_by_one["after"] == "0002"
    assert one_by_one["cost"]["clients"] == ["hospital-0"]
    assert one_by_one["retraining_examples"] == at_once["retraining_examples"] == 3 * 2 * 32
    assert one_by_one["guarantee"]["kind"] == "exact"


def test_what_repair_rounds_added_is_the_clients_too(run: Path) -> None:
    with opened_run(run) as opened:
        history = opened.history
        added = history.repair("0002")
        assert set(added) == {"hospital-0", "hospital-2"}
        before = json.loads((run / "erasures/0002/erasure.json").read_text())["stages"]
        assert [stage["name"] for stage in before] == ["before", "unlearned", "repaired 1"]
        past = opened.past("0002")
        assert past.clients == ("hospital-0", "hospital-2")
        anew = history.anew("0002")["hospital-0"]  # it trained all rounds again: the first training is in it no more
        torch.testing.assert_close(past.influence("hospital-0"), anew + added["hospital-0"])
        assert torch.equal(past.final(), history.erased_model("0002"))


def test_who_is_gone_cannot_be_erased_again(run: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "fedlethe",
        "erase",
        run,
        "--client",
        "hospital-1",
        "--after",
        "0002",
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "hospital-1: not in the model that erasure 0002 led to" in process.stderr
    process = subprocess.run([*command[:-1], "0009"], capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "there is no erasure '0009'; its erasures are: 0001, 0002" in process.stderr


def test_training_goes_on_from_an_erasure(fedlethe: Fedlethe, run: Path, returned: Path) -> None:
    load = safetensors.torch.load_file
    begun = load(returned / "global_checkpoints/round_0000.safetensors")
    erased = load(run / "erasures/0001/model.safetensors")
    assert all(torch.equal(begun[name], tensor) for name, tensor in erased.items())
    with opened_run(returned) as opened:
        past, first = opened.past(), opened.earlier[0].history
        assert past.rounds == 5
        assert past.participants(1) == ("hospital-0", "hospital-2")
        assert past.participants(4) == ("hospital-0", "hospital-1", "hospital-2")
        assert torch.equal(past.influence("hospital-1"), opened.history.influence("hospital-1"))
        assert torch.equal(past.initial(), first.initial())


def test_a_later_request_takes_out_what_a_hospital_did_in_both_trainings(
    fedlethe: Fedlethe, run: Path, returned: Path
) -> None:
    result = fedlethe("erase", returned, "--client", "hospital-2", "--scale", "1", *NO_REPAIR)
    with opened_run(returned) as opened, opened_run(run) as before:
        parts = opened.history.influence("hospital-2"), before.history.influence("hospital-2")
        repair = before.history.repair("0001")["hospital-2"]
        expected = opened.history.final() - parts[0] - parts[1] - repair
        torch.testing.assert_close(opened.history.erased_model(result["id"]), expected)
    assert result["retraining_examples"] == 3 * 2 * 32 + 2 * 2 * 2 * 32  # hospital-0, then hospital-0 and hospital-1


def test_an_interrupted_training_knows_what_it_began_from(fedlethe: Fedlethe, run: Path, returned: Path) -> None:
    copy = Path(shutil.copytree(returned, run.parent / "interrupted"))
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (copy / name).unlink(missing_ok=True)
    for folder in ("global_checkpoints", "client_deltas", "norms", "influence", "keys", "erasures"):
        shutil.rmtree(copy / folder, ignore_errors=True)
    result = fedlethe("train", "--out", copy)
    assert Path(result["model"]).read_bytes() == (returned / "global_checkpoints/round_0002.safetensors").read_bytes()


def test_a_folder_that_is_no_erasures_is_named(run: Path, tmp_path: Path) -> None:
    for after, message in ((run, "is not an erasure's folder"), (run / "erasures" / "0042", "no erasure '0042'")):
        command: list[str | Path] = [sys.executable, "-m", "fedlethe", "train", *TINY, "--after", after]
        command += ["--out", tmp_path / "out"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 2
        assert message in process.stderr
        assert not (tmp_path / "out").exists()
