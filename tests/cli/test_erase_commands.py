# SPDX-License-Identifier: MIT
"""`erase`, as a user runs it on a small run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch

from tests.conftest import TINY, Fedlethe


def test_the_stages_of_an_erasure(finished: Path) -> None:
    erasure = json.loads((finished / "erasures" / "0001" / "erasure.json").read_text())
    assert [stage["name"] for stage in erasure["stages"]] == ["before", "unlearned", "masked", "repaired 1"]
    costs = [stage["cost"] for stage in erasure["stages"]]
    assert [cost["examples"] for cost in costs] == [0, 0, 0, 2 * 24]  # two hospitals, 3/8 of two epochs of 32 images
    assert erasure["request"]["method"]["scale"] == 0.75
    assert costs[-1]["clients"] == ["hospital-0", "hospital-2"]
    assert costs[-1]["bytes_moved"] == 2 * 2 * 4 * sum(
        tensor.numel() for tensor in safetensors.torch.load_file(finished / "erasures/0001/model.safetensors").values()
    )
    assert erasure["retraining_examples"] == 3 * 2 * 2 * 32
    assert (finished / "erasures" / "0001" / "stages.png").is_file()


def test_an_erasure_without_mask_or_repair_is_the_subtraction(
    fedlethe: Fedlethe, finished: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    result = fedlethe("erase", run, "--client", "hospital-0", "--repair-rounds", "0", "--scale", "0.5")
    load = safetensors.torch.load_file
    final, erased = load(run / "global_checkpoints" / "round_0003.safetensors"), load(result["model"])
    plain = ["--unseal", "influence/hospital-0/round_0003.sealed", "--out", tmp_path / "influence.safetensors"]
    fedlethe("history", run, *plain)
    influence = load(tmp_path / "influence.safetensors")
    for name in final:
        torch.testing.assert_close(erased[name], final[name] - 0.5 * influence[name])
    assert result["guarantee"] is None
    assert result["cheaper_than_retraining"] is None


def test_retraining_is_exact_and_costs_what_the_record_says(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    result = fedlethe("erase", run, "--client", "hospital-0", "--method", "retrain")
    assert result["examples"] == result["retraining_examples"]
    assert result["guarantee"]["kind"] == "exact"
    assert [stage["stage"] for stage in result["stages"]] == ["before", "unlearned"]
    twice = fedlethe("erase", run, "--client", "hospital-0", "--client", "hospital-1", "--method", "retrain")
    assert twice["id"] == "0003"
    assert twice["examples"] == 3 * 2 * 32


def test_erasing_leaves_the_trained_model_and_the_history(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*.safetensors")}
    fedlethe("erase", run, "--client", "hospital-2", "--method", "fine_tune", "--set", "rounds=2")
    assert all(path.read_bytes() == content for path, content in before.items())
    assert fedlethe("history", "--check", run)["check"]["rounds_rebuilt"] == 3


def test_batch_norm_survives_an_erasure_with_noise(fedlethe: Fedlethe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fedlethe("train", *TINY, "--norm", "batch", "--rounds", "2", "--out", run)
    result = fedlethe("erase", run, "--client", "hospital-0", "--sigma", "0.03", "--repair-rounds", "0")
    erased = safetensors.torch.load_file(result["model"])
    assert all(bool((tensor > 0).all()) for name, tensor in erased.items() if name.endswith("running_var"))


def test_real_images_with_resnet50_through_an_erasure(fedlethe: Fedlethe, real_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    source = ["--data", "isic2019", "--root", real_data / "isic2019_ham", "--size", "32", "--max-examples", "16"]
    trained = fedlethe("train", *source, "--model", "resnet50", "--rounds", "1", "--out", run)
    assert set(trained["clients"]) == {"rosendahl", "vidir_modern", "vidir_molemax", "vienna_dias"}
    erased = fedlethe("erase", run, "--client", "rosendahl", "--sigma", "0.001")
    tensors = safetensors.torch.load_file(erased["model"])
    assert all(bool((tensor > 0).all()) for name, tensor in tensors.items() if name.endswith("running_var"))
    assert fedlethe("history", "--check", run)["check"]["influence_residual"] < 1e-6


def test_of_two_that_are_erased_both_chances_are_told(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    two = ["--client", "hospital-0", "--client", "hospital-1"]
    erase = [sys.executable, "-m", "fedlethe", "erase", str(run), *two, "--epsilon", "3"]
    printed = subprocess.run(erase, capture_output=True, text=True, check=True).stdout
    assert "names both clients with a chance of at most 48.5 % (blind among 3 sets: 33.3 %)" in printed
    assert "picks one that is erased with a chance of at most 79.6 % (blind, 2 of 3: 66.7 %)" in printed
    hidden = fedlethe("erase", run, *two, "--max-guess", "0.7")["hidden"]
    assert (hidden["erased"], hidden["among"]) == (2, ["hospital-0", "hospital-1", "hospital-2"])
    assert hidden["hit"] <= 0.7 < hidden["hit"] + 1e-6
    assert (hidden["guess_blind"], hidden["hit_blind"]) == (1 / 3, 2 / 3)
    assert hidden["guess"] < hidden["hit"]
    refused = subprocess.run([*erase[:-2], "--max-guess", "0.5"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "above 2 / 3 = 0.667, the chance of blindly picking one of the 2 among 3" in refused.stderr
