# SPDX-License-Identifier: MIT
"""`sweep` and `trace`, as a user runs them on a small run."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.conftest import Fedlethe


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
