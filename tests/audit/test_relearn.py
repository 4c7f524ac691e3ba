# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.audit import Answers
from fedlethe.audit.judging import judge
from fedlethe.audit.relearn import Relearn, steps_until
from tests.audit.answering import answers, evidence, task


def relearning(*losses: float) -> Answers:
    return answers(relearn=np.array(losses))


def test_steps_by_hand() -> None:
    assert steps_until(np.array([4.0, 2.0, 1.0]), 5.0) == 0.0
    assert steps_until(np.array([4.0, 2.0, 1.0]), 3.5) == 0.25
    assert steps_until(np.array([4.0, 2.0, 1.0]), 1.5) == 1.5
    assert steps_until(np.array([4.0, 2.0, 1.0]), 0.5) == 2.0  # never: the last point


def test_what_is_hidden_comes_back_faster_than_what_is_new() -> None:
    references = [relearning(3.0, 2.0, 1.0, 0.0)] * 3  # at 1.0 after two steps
    untouched = [relearning(1.0, 0.5, 0.0, 0.0)]
    for curve, time, verdict in (
        ((3.0, 2.0, 1.0, 0.0), 1.0, "gone"),
        ((3.0, 1.0, 0.0, 0.0), 0.5, "still there"),
        ((0.9, 0.5, 0.0, 0.0), 0.0, "still there"),
    ):
        finding = judge("relearn", Relearn(), evidence(task(), [relearning(*curve)], untouched, references))
        assert finding.verdict == verdict
        assert finding.measured is not None
        assert finding.measured.candidates[0] == pytest.approx(time)


def test_where_retrainings_know_the_images_already_nothing_is_shown() -> None:
    known = [relearning(0.5, 0.2)] * 3
    assert "from the start" in str(Relearn().measure(evidence(task(), known, [relearning(0.6, 0.2)], known)))
    assert Relearn().measure(evidence(task(), [answers()], [answers()], [answers()])) == (
        "nobody relearnt the forgotten images"
    )
