# SPDX-License-Identifier: MIT
"""`evaluate`, `history`, `data`, `report` and the lists, as a user runs them on a small run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fedlethe.audit import AUDITS
from tests.conftest import TINY, Fedlethe


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


def test_data_shows_who_holds_what(fedlethe: Fedlethe, tmp_path: Path) -> None:
    result = fedlethe("data", *TINY[:6], "--out", tmp_path / "pictures")
    counts = [sum(mix.values()) for held in result["counts"].values() for mix in held.values()]
    assert sum(counts) == 120
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == ["class-mix.png", "images.png"]


def test_the_report_is_one_page_with_all_of_it(fedlethe: Fedlethe, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    fedlethe("sweep", run, "--sigmas", "0", "--client", "hospital-1")
    fedlethe("trace", run, "--client", "hospital-1")
    html = Path(fedlethe("report", run)["page"]).read_text()
    assert html.count("data:image/png;base64,") == 7
    for words in ("hospital-1 by influence", "evidence at most", "Training", "hospital-1 erased after every round"):
        assert words in html


def test_methods_and_audits_are_listed(fedlethe: Fedlethe) -> None:
    from fedlethe.unlearning import METHODS as ALL

    listed = {row["name"]: row for row in fedlethe("methods")["rows"]}
    assert list(listed) == ["recommended", *ALL, "closed-form"]
    assert listed["recommended"]["defaults"] == {"scale": 0.75, "repair rounds": 1, "repair ratio": 0.375}
    assert listed["pga"]["defaults"]["clip"] == 5.0
    assert listed["influence"]["defaults"]["clip"] == "inf"
    assert "FORGOTTEN" not in json.dumps(listed)  # needs are in words
    assert all(row["what"].endswith(".") and row["paper"] for row in listed.values())
    audits = [row["name"] for row in fedlethe("audits")["rows"]]
    assert audits == [*AUDITS, "reversion", "cost"]
