# SPDX-License-Identifier: MIT
"""What models are asked, and their answers in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fedlethe.audit import Answers
from fedlethe.audit.relearn import SHORT_TRAININGS
from fedlethe.erasing.examination import Examination, answers_from_bytes, answers_to_bytes, load_answers, save_answers
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun

ANSWERS = Answers(test=np.ones((2, 3)), forgotten=np.zeros((1, 3)), retained=np.full((4, 3), 0.1))


def test_answers_are_read_back_to_the_last_digit(tmp_path: Path) -> None:
    save_answers(tmp_path / "answers", ANSWERS)
    found = load_answers(tmp_path / "answers")
    assert np.array_equal(found.retained, ANSWERS.retained)
    assert (found.triggered, found.relearn) == (None, None)
    assert answers_to_bytes(found) == answers_to_bytes(ANSWERS)


def test_another_file_is_named(tmp_path: Path) -> None:
    content = safetensors.numpy.save({"weights": np.ones(2)})
    with pytest.raises(FedletheError, match=r"x: holds no answers of a model \(it holds weights\)"):
        answers_from_bytes(content, Path("x"))


def test_each_set_is_of_whom_its_name_says(run: OpenRun) -> None:
    gone = ("hospital-1",)
    asked = Examination.of(run, gone)
    assert asked.forget == gone
    held = run.data.clients
    assert [len(part) for part in asked.sets["forgotten"]] == [len(held["hospital-1"].train)]
    assert sum(map(len, asked.sets["retained"])) == sum(len(held[name].train) for name in held if name not in gone)
    assert sum(map(len, asked.sets["test"])) == sum(len(one.test) for one in held.values())
    assert "triggered" in asked.sets  # the backdoor is that client's
    assert "triggered" not in Examination.of(run, ("hospital-2",)).sets


def test_answers_are_log_probabilities_and_relearning_is_told_from_before_it_on(run: OpenRun) -> None:
    asked = Examination.of(run, ("hospital-1",))
    answers = asked.ask(run, run.history.initial(), relearn=True)
    assert np.exp(answers.forgotten).sum(axis=1) == pytest.approx(1)
    assert answers.relearn is not None
    labels = asked.task.forgotten
    assert answers.relearn[0] == pytest.approx(-answers.forgotten[np.arange(len(labels)), labels].mean())
    assert len(set(answers.relearn.tolist())) == 1 + SHORT_TRAININGS[0]  # each of the trainings moves it
    assert asked.ask(run, run.history.initial(), relearn=False).relearn is None
