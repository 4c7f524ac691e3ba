# SPDX-License-Identifier: MIT
"""The comparison as a user runs it: whole, killed and run again, with a method that cannot run."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedlethe.audit import AUDITS
from fedlethe.config import resolve
from fedlethe.errors import ConfigError
from fedlethe.studies.compare import Row, chosen, not_possible
from fedlethe.types import Cost
from fedlethe.unlearning import METHODS as METHODS_THERE_ARE
from tests.conftest import Fedlethe

CONFIG = """
[data]
source = "phantom"
size = 16
hospitals = 3
images_per_hospital = 40

[federation]
rounds = 2

[local]
optimizer = "adam"
learning_rate = 0.005

[backdoor]
client = "hospital-1"

[recipe.short]
method = "influence"
options = { scale = 0.5 }
repair = { rounds = 2, ratio = 0.5 }
"""
METHODS = "influence,rollback,kd,short"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare") / "config.toml"
    path.write_text(CONFIG)
    return path


def _command(config: Path, out: Path) -> list[str | Path]:
    return ["compare", config, "--methods", METHODS, "--seeds", "0-2", "--references", "3", "--out", out]


@pytest.fixture(scope="module")
def whole(fedlethe: Fedlethe, config: Path) -> tuple[dict[str, Any], Path]:
    """What the command prints, and its folder."""
    out = config.parent / "whole"
    return fedlethe(*_command(config, out)), out


def _lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def _rows(result: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in result["rows"]}


def test_every_method_is_held_against_the_same_retrainings(whole: tuple[dict[str, Any], Path]) -> None:
    result, _ = whole
    rows = _rows(result)
    assert list(rows) == ["untouched", "influence", "rollback", "kd", "short"]
    assert result["forget"] == ["hospital-1"]  # the backdoor's client
    for name in ("untouched", "influence", "rollback", "short"):
        findings = {finding["audit"]: finding for finding in rows[name]["findings"]}
        assert list(findings) == list(AUDITS)
        assert len(findings["utility"]["measured"]["candidates"]) == 3
        assert (
            findings["utility"]["measured"]["references"] == rows["untouched"]["findings"][0]["measured"]["references"]
        )
    assert rows["rollback"]["guarantee"].startswith("exact")
    assert rows["rollback"]["share"] == 1.0
    assert rows["short"]["share"] == pytest.approx(2 * 0.5 / 2)  # two rounds of half an epoch; retraining takes two
    assert list(rows["short"]["stages"]) == ["unlearned", "repaired 1", "repaired 2"]
    assert rows["influence"]["bytes_kept"] > 0
    assert not rows["influence"]["forgotten_takes_part"]


def test_a_method_that_cannot_run_has_a_row_that_says_why(whole: tuple[dict[str, Any], Path]) -> None:
    result, out = whole
    assert "public_fraction" in _rows(result)["kd"]["problem"]
    table = _lines(out / "table.csv")
    assert table[3]["verdict"].startswith("did not run: ")


def test_the_table_the_page_and_the_plot_are_there(whole: tuple[dict[str, Any], Path]) -> None:
    result, out = whole
    table = {row["method"]: row for row in _lines(out / "table.csv")}
    figures = _rows(result)["short"]["findings"][0]["measured"]
    mean = sum(figures["candidates"]) / 3
    column = "accuracy" if figures["figure"] is None else "AUC"
    assert table["short"][column].startswith(f"{mean:.3f} [{min(figures['candidates']):.3f}, ")
    assert table["short"]["cost (x fewer)"] == "2.0"
    assert table["untouched"]["cost (x fewer)"] == "-"
    findings = _lines(out / "findings.csv")
    assert {line["stage"] for line in findings if line["method"] == "short"} == {
        "unlearned",
        "repaired 1",
        "repaired 2",
    }
    held = [
        line
        for line in findings
        if (line["method"], line["audit"], line["model"]) == ("short", "utility", "candidates")
    ]
    assert [float(line["value"]) for line in held if line["stage"] == "repaired 2"] == figures["candidates"]
    page = (out / "index.html").read_text()
    assert all(word in page for word in ("rollback", "Reversion", "cost-against-gap", "What each audit found"))
    assert (out / "cost-against-gap.png").stat().st_size > 10_000
    assert len((out / "table.md").read_text().splitlines()) == 2 + 5


KILLED = """
import contextlib, os, signal, sys
from pathlib import Path
from fedlethe.studies import jobs
from fedlethe.cli.entry import run

done = Path(sys.argv[1])

@contextlib.contextmanager
def counted(*_):
    def advance():
        if len(list(done.glob("*.json"))) >= 5:
            os.kill(os.getpid(), signal.SIGKILL)
    yield advance

jobs.bar = counted
run(sys.argv[2:])
"""
"""The command, which ends by SIGKILL as soon as it hears of a job when five or more are done."""


def test_killed_and_run_again_it_does_nothing_twice_and_ends_in_the_same_place(
    fedlethe: Fedlethe, config: Path, whole: tuple[dict[str, Any], Path]
) -> None:
    out = config.parent / "killed"
    program = [sys.executable, "-c", KILLED, str(out / "jobs"), *map(str, _command(config, out))]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # ends when the last of its workers has ended, which hold this pipe, too
    assert process.returncode == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in out.glob("jobs/*.json")}
    assert 5 <= len(done) < 15
    result = fedlethe(*_command(config, out))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list(out.glob("jobs/*.json"))) == 15  # three trainings, three retrainings, three methods on each
    assert (out / "findings.csv").read_bytes() == (whole[1] / "findings.csv").read_bytes()
    assert [row["verdict"] for row in result["rows"]] == [row["verdict"] for row in whole[0]["rows"]]


def test_one_worker_or_two_and_whatever_the_order_the_figures_are_the_same(
    fedlethe: Fedlethe, config: Path, whole: tuple[dict[str, Any], Path]
) -> None:
    out = config.parent / "one-worker"
    arguments = ["--methods", "short,influence", "--seeds", "2,0,1", "--references", "3", "--workers", "1"]
    rows = _rows(fedlethe("compare", config, *arguments, "--out", out))
    for name in ("short", "influence"):
        first, second = (
            {finding["audit"]: finding["measured"] for finding in row["findings"]}
            for row in (rows[name], _rows(whole[0])[name])
        )
        assert sorted(first["utility"]["candidates"]) == sorted(second["utility"]["candidates"])
        assert first["backdoor"]["references"] == second["backdoor"]["references"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "influense"], "did you mean 'influence'"),
        (["--references", "2"], "it takes 3 retrainings at least"),
        (["--seeds", "0,0"], "none twice"),
        (["--seeds", "3-1"], "--seeds"),
        (["--client", "hospital-9"], "hospital-9"),
        (["--set", "recipe.short.repair.round=1"], "did you mean 'rounds'"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_done(
    config: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = [sys.executable, "-m", "fedlethe", "compare", str(config), "--out", str(tmp_path / "out"), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert message in process.stderr
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_all_are_those_that_go_with_the_aggregator_and_the_others_are_named() -> None:
    median = resolve({"aggregator": {"name": "median"}})
    assert list(chosen(median, ["all"])) == ["retrain", "rollback", "fine_tune", "puf", "fed_quit", "fed_osd", "not_"]
    out = not_possible(median, ["all"])
    assert set(out) == set(METHODS_THERE_ARE) - set(chosen(median, ["all"]))
    assert out["influence"].startswith("method 'influence' needs each client's summed weighted deltas, which tells")
    assert not_possible(median, ["influence"]) == {}  # that is refused, since it was asked for
    with pytest.raises(ConfigError, match="take one of retrain"):
        chosen(median, ["influence"])
    assert not_possible(resolve({}), ["all"]) == {}
    assert "recommended" in chosen(resolve({}), ["all"])
    assert list(chosen(median, ["recommended"])) == ["recommended"]


def test_the_share_is_of_the_seeds_in_which_there_is_something_to_retrain() -> None:
    """Where the erased alone took part, retraining takes nothing: the table was lost to a division by it."""
    costs = (Cost(examples=30), Cost(examples=50))
    assert Row("a", cost=costs, retraining_examples=(60, 0)).share == 0.5
    assert Row("a", cost=costs, retraining_examples=(0, 0)).share == 0.0
