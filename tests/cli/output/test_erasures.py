# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.erasing.record import Erasure
from fedlethe.types import Cost, Evaluation, Metrics, Stage

EVALUATION = Evaluation(Metrics(10, 0.5, 0.25, 0.75), {"a": Metrics(10, 0.5, 0.25, 0.75)})
ERASURE = Erasure(
    run=Path("RUN"),
    id="0001",
    model=Path("RUN/erasures/0001/model.safetensors"),
    request={"method": {"name": "influence"}},
    forget=("a",),
    method="influence",
    guarantee=None,
    stages=(Stage("before", EVALUATION, Cost()), Stage("unlearned", EVALUATION, Cost(examples=50))),
    cost=Cost(client_steps=5, examples=50, bytes_moved=80, seconds=1.5),
    retraining_examples=200,
)


@pytest.mark.parametrize(
    ("examples", "words", "ratio"),
    [
        (50, "examples: 50 (4.0x fewer; retraining takes 200), 1.5 s", 4.0),
        (400, "examples: 400 (2.0x more; retraining takes 200), 1.5 s", 0.5),
        (0, "examples: 0 (free; retraining takes 200), 1.5 s", None),
    ],
)
def test_the_cost_is_told_against_retraining(
    examples: int, words: str, ratio: float | None, printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    erasure = replace(ERASURE, cost=replace(ERASURE.cost, examples=examples))
    assert words in printed(erasure).splitlines()
    assert as_json(erasure)["cheaper_than_retraining"] == ratio


@pytest.mark.parametrize(
    ("examples", "words"),
    [(50, "at most 4.0x fewer"), (400, "at least 2.0x more"), (0, "free")],
)
def test_where_patients_left_it_is_told_that_retraining_takes_at_most_so_many(
    examples: int, words: str, printed: Callable[[Any], str]
) -> None:
    erasure = replace(ERASURE, cost=replace(ERASURE.cost, examples=examples), retraining_at_most=True)
    told = f"examples: {examples} ({words}; retraining takes at most 200), 1.5 s"
    assert told in printed(erasure).splitlines()


def test_where_nobody_else_took_part_there_is_nothing_to_retrain(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    erasure = replace(ERASURE, retraining_examples=0)
    assert "examples: 50 (there is nothing to retrain; retraining takes 0), 1.5 s" in printed(erasure).splitlines()
    assert as_json(erasure)["cheaper_than_retraining"] == 0


def test_without_a_guarantee_it_says_that_there_is_evidence(printed: Callable[[Any], str]) -> None:
    text = printed(ERASURE)
    assert "guarantee: none: evidence" in text
    assert "a (erased)" in text
    assert text.endswith("model: RUN/erasures/0001/model.safetensors (a later purge removed it)")


def test_a_model_that_is_there_is_named_alone(printed: Callable[[Any], str], tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.touch()
    assert printed(replace(ERASURE, model=model)).splitlines()[-1].endswith("/m")


def test_noise_of_which_nothing_is_claimed_says_why(printed: Callable[[Any], str]) -> None:
    told = printed(replace(ERASURE, not_hidden="all repair"))
    assert "who left: nothing is claimed of the noise; all repair" in told


def test_the_object_has_the_last_stage_at_the_top_and_the_request_as_an_object(as_json: Callable[[Any], Any]) -> None:
    found = as_json(ERASURE)
    assert found["request"] == {"method": {"name": "influence"}}
    assert found["accuracy"] == 0.5
    assert [stage["stage"] for stage in found["stages"]] == ["before", "unlearned"]
    assert found["stages"][1]["cost"]["examples"] == 50
    assert (found["examples"], found["seconds"], found["bytes_moved"], found["hidden"]) == (50, 1.5, 80, None)


POOR = Metrics(40, 0.75, 0.5, 0.5, (0.4, 0.6), 0.1, ((30, 0), (10, 0)))


def test_what_is_amiss_with_the_model_is_said_first_and_in_the_object(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    evaluation = Evaluation(POOR, {"a": POOR, "b": POOR}, retained=POOR)
    erasure = replace(ERASURE, stages=(*ERASURE.stages[:-1], Stage("unlearned", evaluation, Cost(examples=50))))
    lines = printed(erasure).splitlines()
    assert lines[0].startswith("warning: the model answers class 0 for every test image: 75 % of them have it")
    assert (
        "retained: sensitivity 0.000, specificity 1.000, calibration error 0.100, AUC from 0.400 to 0.600"
        in "\n".join(lines)
    )
    found = as_json(erasure)
    assert found["warnings"] == list(erasure.warnings) == [lines[0].removeprefix("warning: ")]
    assert found["retained"]["specificity"] == 1.0
    assert found["clients"]["b"]["auc_interval"] == [0.4, 0.6]
