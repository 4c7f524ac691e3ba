# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.audit import Answers
from fedlethe.audit.distance import Distance
from fedlethe.audit.judging import judge
from fedlethe.audit.scores import divergence
from tests.audit.answering import answers, evidence, log_probabilities, task


def at(phi: float) -> Answers:
    return answers(test=log_probabilities([phi] * 3, [0] * 3))


def test_rho_is_in_units_of_how_far_retrainings_lie_apart() -> None:
    references = [at(0.0), at(0.5), at(1.0)]
    measured = Distance().measure(evidence(task(), [at(4.0)], [at(0.5)], references))
    assert not isinstance(measured, str)

    def between(one: float, other: float) -> float:
        return divergence(log_probabilities([one], [0]), log_probabilities([other], [0]))

    unit = np.quantile([between(0, 0.5), between(0.5, 1), between(0, 1)], 0.9)
    expected = np.mean([between(4, 0), between(4, 0.5), between(4, 1)]) / unit
    assert measured.candidates[0] == pytest.approx(expected)
    assert measured.untouched[0] < 1 < measured.candidates[0]


def test_the_words() -> None:
    references = [at(0.0), at(0.5), at(1.0)]
    judged = [
        judge("distance", Distance(), evidence(task(), [at(one)], [at(other)], references)).verdict
        for one, other in ((0.5, 0.5), (0.5, 6.0), (6.0, 6.0))
    ]
    assert judged == ["cannot be shown", "alike", "different"]


def test_too_few_or_equal_retrainings_are_said() -> None:
    assert Distance().measure(evidence(task(), [], [], [at(0)] * 2)) == "it takes 3 retrainings, there are 2"
    assert "copies" in str(Distance().measure(evidence(task(), [], [], [at(0)] * 3)))
