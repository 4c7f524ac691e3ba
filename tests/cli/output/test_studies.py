# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedlethe.studies.compare import Comparison, Row
from fedlethe.studies.frontier import Frontier
from fedlethe.studies.sweep import Sweep
from fedlethe.studies.trace import Trace
from fedlethe.studies.who_left import WhoLeft
from fedlethe.types import Cost, Evaluation, HidingPoint, Metrics, Spread, SweepPoint, TimesNamed, TracePoint


def evaluation(accuracy: float) -> Evaluation:
    metrics = Metrics(10, accuracy, 0.5, None)
    return Evaluation(metrics, {"a": metrics})


def point(setting: str, mask: str, stage: str, epsilon: float | None) -> HidingPoint:
    half = Spread(0.5, 0.25, 0.75)
    return HidingPoint(
        setting=setting,
        mask=mask,
        stage=stage,
        sigma=1.0,
        epsilon=epsilon,
        delta=1e-5,
        bound=None if epsilon is None else 0.375,
        chance=0.2,
        models=3,
        accuracy=half,
        balanced_accuracy=half,
        auc=None,
        attack_success=None,
        membership=half,
        named=(TimesNamed("outsider", 1, 4, 0.0, 1.0),),
    )


def cells(text: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"│ {first} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_sweep_has_mean_least_and_most_of_the_draws(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    points = tuple(SweepPoint("a", 0.5, draw, evaluation(accuracy)) for draw, accuracy in enumerate((0.25, 0.5, 0.75)))
    swept = Sweep(Path("RUN"), "influence", evaluation(0.875), points)
    text = printed(swept)
    assert cells(text, "a") == ["a", "0.5", "3", "0.500", "0.250", "0.750"]
    assert text.splitlines()[-2:] == ["untouched model: 0.875", "plot: RUN/report/sweep.png"]
    found = as_json(swept)
    assert [one["accuracy"] for one in found["points"]] == [0.25, 0.5, 0.75]
    assert found["points"][0]["own_images"]["num_examples"] == 10
    assert found["untouched"]["accuracy"] == 0.875


def test_a_trace_has_both_models_by_round(printed: Callable[[Any], str], as_json: Callable[[Any], Any]) -> None:
    traced = Trace(Path("RUN"), "influence", "a", (TracePoint(0, evaluation(0.5), evaluation(0.25)),))
    assert cells(printed(traced), "0") == ["0", "0.500", "0.250"]
    assert as_json(traced)["points"][0]["unlearned"]["accuracy"] == 0.25


def test_a_frontier_has_a_table_for_each_setting_and_what_goes_with_all_in_each(printed: Callable[[Any], str]) -> None:
    points = (
        point("", "nothing erased", "unlearned", None),
        point("clip 1", "subspace", "masked", 3.0),
        point("clip 2", "shaped", "masked", 8.0),
    )
    text = printed(Frontier(Path("RUN"), "influence", ("a", "b"), 5, 1e-5, points))
    assert text.count("│ nothing erased ") == 2
    assert "Hiding who left: clip 1, 5 draws for each client" in text
    assert cells(text, "subspace") == ["subspace", "3", "0.375", "0.200", "0.500", "-", "-", "-", "0.250", "-"]
    assert "epsilon, at delta 1e-05" in text


def test_who_left_has_a_row_for_each_stage(printed: Callable[[Any], str]) -> None:
    points = (point("all repair", "subspace", "masked", 3.0), point("all repair", "subspace", "repaired 1", None))
    text = printed(WhoLeft(Path("RUN"), {}, ("a", "b"), 2, points))
    assert cells(text, "masked")[1:3] == ["3", "0.375"]
    assert cells(text, "repaired 1")[1:3] == ["-", "-"]  # after a repair by all nothing is guaranteed
    assert text.endswith("plot: RUN/report/identity.png")


def test_a_comparison_says_why_a_method_did_not_run(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    rows = (
        Row("kd", problem="it takes public images"),
        Row("pga", cost=(Cost(examples=5),), retraining_examples=(20,)),
    )
    compared = Comparison(Path("/out"), "phantom", ("a",), (0,), 3, rows)
    assert [row["share"] for row in as_json(compared)["rows"]] == [0.0, 0.25]
    text = printed(Comparison(Path("/out"), "phantom", ("a",), (0,), 3, rows[:1]))
    assert "a erased; 1 seeds against 3 retrainings" in text
    assert cells(text, "kd")[-1] == "did not run: it takes public images"
    assert text.endswith("Open: /out/index.html")
