# SPDX-License-Identifier: MIT
"""`train`, as a user runs them on a small run."""

from __future__ import annotations

from pathlib import Path

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


def test_updates_that_are_not_finite_are_refused_and_recorded(fedlethe: Fedlethe, tmp_path: Path) -> None:
    result = fedlethe("train", *TINY, "--rounds", "1", "--learning-rate", "1e30", "--out", tmp_path / "run")
    assert {entry["client"] for entry in result["refused"]} == {"hospital-0", "hospital-1", "hospital-2"}
    assert all("NaN" in entry["refused"] for entry in result["refused"])
    final, initial = (fedlethe("evaluate", tmp_path / "run", "--round", round) for round in ("1", "0"))
    assert final["accuracy"] == initial["accuracy"]
    html = Path(fedlethe("report", tmp_path / "run")["page"]).read_text()
    assert "the update of hospital-1 was refused" in html
