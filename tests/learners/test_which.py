# SPDX-License-Identifier: MIT
"""Each configuration has one of the two learners."""

from __future__ import annotations

from fedlethe.config import resolve
from fedlethe.learners.averaging import AveragingLearner
from fedlethe.learners.closed_form import ClosedFormLearner
from fedlethe.learners.which import learner_of
from tests.runs.small import CLOSED, NETWORK


def test_the_configuration_says_which() -> None:
    assert learner_of(resolve(NETWORK)) == AveragingLearner()
    assert learner_of(resolve({})) == AveragingLearner()
    assert learner_of(resolve(CLOSED)) == ClosedFormLearner()
