# SPDX-License-Identifier: MIT
"""The commands, each as a user runs it, on a small run."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.conftest import TINY, Fedlethe


def test_train_says_what_it_made(fedlethe: Fedlethe, tmp_path: Path) -> None:
    result = fedlethe("train", *TINY, "--rounds", "2", "--out", tmp_path / "run")
    assert set(result) >= {"run", "model", "accuracy", "balanced_accuracy", "auc", "clients", "examples", "seconds"}
    assert set(result["clients"]) == {"hospital-0", "hospital-1", "hospital-2"}
    assert result["examples"] == 2 * 2 * 3 * 32  # rounds x epochs x hospitals x images
    assert Path(result["model"]).is_file()


def test_one_seed_gives_the_same_bytes_and_another_seed_others(fedlethe: Fedlethe, tmp_path: Path) -> None:
    runs = {"a": "0", "b": "0", "c": "1"}
    models = {
        name: Path(fedlethe("train", *TINY, "--rounds", "1", "--seed", seed, "--out", tmp_path / name)["model"])
        for name, seed in runs.items()
    }
    contents = {name: model.read_bytes() for name, model in models.items()}
    assert contents["a"] == contents["b"] != contents["c"]


def test_what_is_kept_does_not_change_the_model(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    result = fedlethe("train", *TINY, "--rounds", "3", "--out", tmp_path / "run")
    kept = finished / "global_checkpoints" / "round_0003.safetensors"
    assert Path(result["model"]).read_bytes() == kept.read_bytes()


def test_the_stages_of_an_erasure(finished: Path) -> None:
    erasure = json.loads((finished / "erasures" / "0001" / "erasure.json").read_text())
    assert [stage["name"] for stage in erasure["stages"]] == ["before", "unlearned", "masked", "repaired 1"]
    costs = [stage["cost"] for stage in erasure["stages"]]
    assert [cost["examples"] for cost in costs] == [0, 0, 0, 2 * 24]  # two hospitals, 3/8 of two epochs of 32 images
    assert erasure["request"].count('"scale": 0.75') == 1
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


def test_evaluate_finds_every_model(fedlethe: Fedlethe, finished: Path) -> None:
    final, third, initial, erased = (
        fedlethe("evaluate", finished, *choice)
        for choice in ([], ["--round", "3"], ["--round", "0"], ["--erasure", "0001"])
    )
    assert final == third
    assert initial["model"].endswith("round_0000.safetensors")
    stages = json.loads((finished / "erasures" / "0001" / "erasure.json").read_text())["stages"]
    assert erased["accuracy"] == stages[-1]["evaluation"]["overall"]["accuracy"]
    by_file = fedlethe("evaluate", finished, "--model", erased["model"], "--split", "train")
    assert by_file["num_examples"] == 96


def test_the_history_is_checked_and_rebuilt(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    overview = fedlethe("history", "--check", finished)
    assert {kept["kind"]: kept["files"] for kept in overview["kept"]} == {
        "global checkpoint": 4,
        "configuration": 1,
        "client delta": 9,
        "norms": 9,
        "influence": 3,
        "picture": 3,
        "erasure": 5,  # the model, its record, fingerprints, and what the repair round of two hospitals added
    }
    assert overview["check"]["rounds_rebuilt"] == 3
    assert overview["check"]["influence_residual"] <= overview["check"]["influence_bound"] < 1e-6
    fedlethe("history", finished, "--rebuild", "2", "--out", tmp_path / "model.safetensors")
    stored = finished / "global_checkpoints" / "round_0002.safetensors"
    assert (tmp_path / "model.safetensors").read_bytes() == stored.read_bytes()


def test_sweep_erases_every_client_at_every_sigma(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    result = fedlethe("sweep", run, "--sigmas", "0,0.01", "--draws", "2")
    assert len(result["points"]) == 3 * (1 + 2)
    with (run / "report" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["client"], row["sigma"], row["draws"]) for row in rows[:2]] == [
        ("hospital-0", "0.0", "1"),
        ("hospital-0", "0.01", "2"),
    ]
    first, second = (point["accuracy"] for point in result["points"][1:3])
    assert float(rows[1]["accuracy_mean"]) == pytest.approx((first + second) / 2)
    assert (run / "report" / "sweep.png").is_file()


def test_trace_erases_after_every_round(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    result = fedlethe("trace", run, "--client", "hospital-1")
    assert [point["round"] for point in result["points"]] == [0, 1, 2, 3]
    assert result["points"][0]["trained"] == result["points"][0]["unlearned"]
    last = fedlethe("erase", run, "--client", "hospital-1", "--repair-rounds", "0")
    assert result["points"][3]["unlearned"]["accuracy"] == last["accuracy"]
    assert len(list((run / "report").glob("trace-hospital-1*.png"))) == 2


def test_the_report_is_one_page_with_all_of_it(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    fedlethe("sweep", run, "--sigmas", "0", "--client", "hospital-1")
    fedlethe("trace", run, "--client", "hospital-1")
    html = Path(fedlethe("report", run)["page"]).read_text()
    assert html.count("data:image/png;base64,") == 7
    for words in ("hospital-1 by influence", "evidence at most", "Training", "hospital-1 erased after every round"):
        assert words in html


def test_data_shows_who_holds_what(fedlethe: Fedlethe, tmp_path: Path) -> None:
    result = fedlethe("data", *TINY[:6], "--out", tmp_path / "pictures")
    counts = [sum(mix.values()) for held in result["counts"].values() for mix in held.values()]
    assert sum(counts) == 120
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == ["class-mix.png", "images.png"]


def test_a_configuration_file_and_flags_over_it(fedlethe: Fedlethe, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        "seed = 3\n[data]\nsource = 'phantom'\nsize = 16\nhospitals = 3\nimages_per_hospital = 40\n"
        "[federation]\nrounds = 5\nparticipation = 0.67\n[method.influence]\nscale = 0.25\n"
    )
    result = fedlethe("train", "--config", tmp_path / "run.toml", "--rounds", "1", "--out", tmp_path / "run")
    assert result["rounds"] == 1
    assert result["examples"] == 2 * 32  # two of the three take part
    erasure = fedlethe("erase", tmp_path / "run", "--client", "hospital-0", "--repair-rounds", "0")
    assert erasure["request"]["method"] == {"name": "influence", "scale": 0.25, "clip": "inf", "renormalise": False}


def test_batch_norm_survives_an_erasure_with_noise(fedlethe: Fedlethe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fedlethe("train", *TINY, "--norm", "batch", "--rounds", "2", "--out", run)
    result = fedlethe("erase", run, "--client", "hospital-0", "--sigma", "0.03", "--repair-rounds", "0")
    erased = safetensors.torch.load_file(result["model"])
    assert all(bool((tensor > 0).all()) for name, tensor in erased.items() if name.endswith("running_var"))


def test_updates_that_are_not_finite_are_refused_and_recorded(fedlethe: Fedlethe, tmp_path: Path) -> None:
    result = fedlethe("train", *TINY, "--rounds", "1", "--learning-rate", "1e30", "--out", tmp_path / "run")
    assert {entry["client"] for entry in result["refused"]} == {"hospital-0", "hospital-1", "hospital-2"}
    assert all("NaN" in entry["refused"] for entry in result["refused"])
    final, initial = (fedlethe("evaluate", tmp_path / "run", "--round", round) for round in ("1", "0"))
    assert final["accuracy"] == initial["accuracy"]
    html = Path(fedlethe("report", tmp_path / "run")["page"]).read_text()
    assert "the update of hospital-1 was refused" in html


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
