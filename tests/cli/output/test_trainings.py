# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlethe.history.entries import Participation
from fedlethe.learners.training import Trained
from fedlethe.types import Evaluation, Metrics

TRAINED = Trained(
    run=Path("RUN"),
    model=Path("RUN/model.safetensors"),
    evaluation=Evaluation(Metrics(10, 0.5, 0.25, 0.75), {"a": Metrics(10, 0.5, 0.25, 0.75)}),
    rounds=1,
    examples=12345,
    seconds=2.5,
    recording_share=0.125,
    bytes_sent=4000,
    refused=(),
    resumed_after=0,
    left_out={},
)


def test_a_training_is_told_in_a_table_and_a_few_lines(printed: Callable[[Any], str]) -> None:
    text = printed(TRAINED)
    assert "1 round, 12,345 examples, 2.5 s, 12.5 % of it recording" in text
    assert "a client sends 4,000 bytes at the most" in text
    assert text.endswith("model: RUN/model.safetensors")
    assert "refused" not in text


def test_what_was_out_of_the_usual_is_told(printed: Callable[[Any], str]) -> None:
    refused = Participation(2, "a", refused="holds NaN")
    unusual = replace(TRAINED, rounds=3, resumed_after=2, refused=(refused,), taken_back=("b",), not_checked=("c",))
    text = printed(unusual)
    assert "3 rounds (went on after round 2)" in text
    assert "round 2: the update of a was refused: holds NaN" in text
    assert "taken back, though erased before: b" in text
    assert "not checked: c" in text


def test_the_object_has_the_figures_at_the_top(as_json: Callable[[Any], Any]) -> None:
    found = as_json(TRAINED)
    assert (found["accuracy"], found["auc"], found["rounds"]) == (0.5, 0.75, 1)
    assert found["clients"]["a"]["num_examples"] == 10
    assert found["model"] == "RUN/model.safetensors"
    assert "evaluation" not in found
