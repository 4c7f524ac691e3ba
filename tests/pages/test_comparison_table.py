# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.audit import Finding, Measured
from fedlethe.pages.comparison_table import HEADER, cells, markdown, size, write_comparison
from fedlethe.studies.compare import UNTOUCHED, Comparison, Row
from fedlethe.types import Cost


def findings(*accuracies: float) -> tuple[Finding, ...]:
    measured = Measured(accuracies, (0.5,), (0.5, 0.75), details={"auc": 0.875})
    others = ("distance", "membership", "forget_quality", "backdoor", "relearn")
    return (
        Finding("utility", "useful", "as good as a retraining", measured, 0.5, len(accuracies)),
        *(Finding(name, "cannot be shown", "not measured") for name in others),
    )


ROW = Row(
    name="influence",
    findings=findings(0.5, 1.0),
    verdict="useful",
    cost=(Cost(examples=10, seconds=1.0), Cost(examples=30, seconds=2.0)),
    retraining_examples=(100, 100),
    bytes_kept=2_500_000,
    stages={"unlearned": findings(0.25, 0.5), "repaired 1": findings(0.5, 1.0)},
)
UNTOUCHED_ROW = replace(ROW, name=UNTOUCHED, cost=(), retraining_examples=(), stages={"final": findings(0.5, 1.0)})
PROBLEM = Row("kd", problem="it takes | public images")


def comparison(out: Path, *rows: Row) -> Comparison:
    return Comparison(out, "phantom", ("hospital-1",), (0, 1), 2, rows)


def of(row: Row) -> dict[str, str]:
    return dict(zip(HEADER, cells(row), strict=True))


def test_a_row_has_means_and_ends_and_the_cost_against_retraining() -> None:
    row = of(ROW)
    assert row["accuracy"] == "0.750 [0.500, 1.000]"
    assert row["gap (points)"] == "+12.5"  # the retrainings' mean is .625
    assert row["AUC"] == "0.875"
    assert row["cost (x fewer)"] == "5.0"  # a tenth and three tenths
    assert (row["takes part"], row["history"], row["seconds"]) == ("no", "2.5 MB", "1.5")
    assert row["membership AUC"] == "-"
    assert of(replace(ROW, forgotten_takes_part=True))["takes part"] == "yes"


def test_where_the_figure_is_an_auc_it_stands_in_that_column() -> None:
    measured = Measured((0.5, 1.0), (0.5,), (0.5,), details={"accuracy": 0.25}, figure="AUC")
    row = of(replace(ROW, findings=(Finding("utility", "useful", "", measured), *ROW.findings[1:])))
    assert (row["accuracy"], row["AUC"]) == ("0.250", "0.750 [0.500, 1.000]")


def test_the_untouched_model_costs_nothing_and_what_did_not_run_says_why() -> None:
    untouched = of(UNTOUCHED_ROW)
    assert {untouched[name] for name in ("cost (x fewer)", "takes part", "history", "seconds")} == {"-"}
    assert of(PROBLEM)["verdict"] == "did not run: it takes | public images"
    assert of(replace(ROW, cost=(Cost(), Cost())))["cost (x fewer)"] == "free"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3e9, "3.0 GB")]
)
def test_bytes_as_people_write_them(count: int, text: str) -> None:
    assert size(int(count)) == text


def test_in_markdown_no_cell_breaks_the_table() -> None:
    lines = markdown(comparison(Path(), replace(ROW, name="<b>a\\|b"), PROBLEM)).splitlines()
    assert len(lines) == 2 + 2
    assert lines[2].startswith("| &lt;b&gt;a\\\\\\|b | ")
    assert "it takes \\| public images" in lines[3]


def test_every_figure_of_every_stage_is_a_line_of_findings(tmp_path: Path) -> None:
    write_comparison(comparison(tmp_path, UNTOUCHED_ROW, ROW, PROBLEM))
    lines = list(csv.DictReader((tmp_path / "findings.csv").read_text().splitlines()))
    held = [
        (line["stage"], line["model"], line["index"], line["value"]) for line in lines if line["audit"] == "utility"
    ]
    assert ("repaired 1", "candidates", "1", "1.0") in held
    assert ("unlearned", "references", "1", "0.75") in held
    assert ("unlearned", "auc", "", "0.875") in held
    assert [line["method"] for line in lines if line["audit"] == "relearn"] == [UNTOUCHED, "influence", "influence"]


def test_the_page_holds_the_table_the_reversion_and_what_is_certain(tmp_path: Path) -> None:
    certain = replace(ROW, name="retrain", guarantee="exact: trained anew", stages={"unlearned": ROW.findings})
    page = write_comparison(comparison(tmp_path, UNTOUCHED_ROW, ROW, certain)).read_text()
    assert "hospital-1 taken out of phantom" in page
    assert "retrain: exact: trained anew." in page
    assert "Reversion" in page
    alone = tmp_path / "alone"
    assert "Reversion" not in write_comparison(comparison(alone, UNTOUCHED_ROW, certain)).read_text()
    assert sorted(path.name for path in alone.iterdir())[:4] == [
        "cost-against-gap.csv",
        "cost-against-gap.png",
        "cost-against-gap.svg",
        "findings.csv",
    ]


def test_a_name_that_begins_like_a_formula_is_none_in_a_spreadsheet(tmp_path: Path) -> None:
    write_comparison(comparison(tmp_path, UNTOUCHED_ROW, Row("=1+1", problem="no")))
    assert "\n'=1+1," in (tmp_path / "table.csv").read_text()
