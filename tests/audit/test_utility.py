# SPDX-License-Identifier: MIT
from __future__ import annotations

import math

import numpy as np
import pytest

from fedlethe.audit import Answers
from fedlethe.audit.judging import judge
from fedlethe.audit.utility import Utility, balanced_accuracy
from tests.audit.answering import answers, evidence, log_probabilities, task

LABELS = [0] * 6 + [1] * 4


def model(wrong: int) -> Answers:
    phi = [1.0] * 10
    phi[10 - wrong :] = [-1.0] * wrong
    return answers(test=log_probabilities(phi, LABELS))


def test_figures_by_hand() -> None:
    measured = Utility().measure(evidence(task(test=LABELS), [model(1)], [model(0)], [model(2)]))
    assert not isinstance(measured, str)
    assert (measured.candidates, measured.untouched, measured.references) == ((0.9,), (1.0,), (0.8,))
    assert measured.floor == 0.6
    assert measured.details["balanced_accuracy"] == pytest.approx((1 + 3 / 4) / 2)
    # Scores of class 1 over class 0: class 1 has 1, 1, 1 and -1, class 0 has -1: three quarters above, one tied.
    assert measured.details["auc"] == pytest.approx(0.75 + 0.25 / 2)


def test_the_commonest_class_is_no_model() -> None:
    majority = answers(test=np.tile([math.log(0.9), math.log(0.1)], (10, 1)))
    assert balanced_accuracy(majority, np.array(LABELS)) == 0.5
    judged = judge("utility", Utility(tolerance=1.0), evidence(task(test=LABELS), [majority], [majority], [model(1)]))
    assert judged.verdict == "not useful"


def test_useful_is_no_worse_than_the_worst_retraining() -> None:
    for wrong, verdict in ((2, "useful"), (3, "not useful")):
        judged = judge(
            "utility", Utility(), evidence(task(test=LABELS), [model(wrong)], [model(0)], [model(2), model(0)])
        )
        assert judged.verdict == verdict


def test_where_accuracy_says_nothing_the_auc_does() -> None:
    labels = [0] * 6 + [1] * 4

    def shy(right: int) -> Answers:
        """Answers class 0 always, but ranks so many of the four images of class 1 above all others."""
        scores = [-2.0] * 6 + [-1.0] * right + [-3.0] * (4 - right)
        return answers(test=log_probabilities([-score for score in scores], [0] * 10))

    of = evidence(task(test=labels), [shy(4)], [shy(4)], [shy(3), shy(4)])
    finding = judge("utility", Utility(), of)
    assert finding.verdict == "useful"
    assert finding.statement.startswith("AUC (not every retraining is more accurate than the commonest class) 1.000")
    assert finding.measured is not None
    assert finding.measured.references == (0.75, 1.0)
    assert finding.measured.details["accuracy"] == 0.6
    assert (
        judge("utility", Utility(), evidence(task(test=labels), [shy(1)], [shy(4)], [shy(3)])).verdict == "not useful"
    )
