# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlethe.runs.inspection import DataOverview, Evaluated, HistoryCheck, Kept, Overview
from fedlethe.types import Evaluation, Metrics

OVERVIEW = Overview(
    Path("RUN"), 2, 3, ("a",), ("influence", "norms"), (Kept("model", 2, 1500), Kept("norms", 1, 500)), None
)


def test_a_history_is_summed_up_and_says_what_a_check_found(printed: Callable[[Any], str]) -> None:
    text = printed(OVERVIEW)
    assert "RUN: 2 of 3 rounds" in text
    assert "all │ 3 │ 2,000" in text
    assert text.endswith("keeps: influence; norms")
    checked = printed(replace(OVERVIEW, check=HistoryCheck(3, 2, 1e-8, 2e-7))).splitlines()
    assert checked[-3:] == [
        "3 files have the bytes that the ledger names",
        "2 rounds rebuilt from the initial model and the deltas, bit for bit",
        "initial model + influences = final model: relative difference 1.0e-08 (rounding allows 2.0e-07)",
    ]


def test_what_a_history_does_not_keep_is_not_said_to_be_checked(printed: Callable[[Any], str]) -> None:
    checked = printed(replace(OVERVIEW, check=HistoryCheck(3, None, None, None)))
    assert checked.endswith("3 files have the bytes that the ledger names")


def test_an_evaluated_model_is_named_with_its_split(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    metrics = Metrics(4, 0.5, 0.25, None)
    found = Evaluated(Path("RUN"), Path("m.safetensors"), "validation", Evaluation(metrics, {"a": metrics}))
    assert "Validation images" in printed(found)
    assert as_json(found)["split"] == "validation"
    assert as_json(found)["balanced_accuracy"] == 0.25


def test_who_holds_what_is_a_row_for_each_client(printed: Callable[[Any], str]) -> None:
    counts = {"train": {"a": {"no": 3, "yes": 1}}, "test": {"a": {"no": 2, "yes": 0}}}
    found = DataOverview("table", "f1", ("no", "yes"), (1, 16, 16), counts, {"too dark": 2}, (Path("p.png"),))
    text = printed(found)
    assert "│ client │ train no │ train yes │ test no │ test yes │".replace("│", "┃") in text
    assert "│ a │ 3 │ 1 │ 2 │ 0 │" in text
    assert text.splitlines()[-3:] == ["left out: 2 too dark", "fingerprint: f1", "picture: p.png"]
