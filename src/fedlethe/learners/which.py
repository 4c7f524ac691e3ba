# SPDX-License-Identifier: MIT
"""Which of the two learners a run has: asked here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from fedlethe.config import RunConfig
from fedlethe.config.learning import LearnerName
from fedlethe.learners.averaging import AveragingLearner
from fedlethe.learners.closed_form import ClosedFormLearner
from fedlethe.learners.learner import Learner

LEARNERS: Mapping[LearnerName, Learner] = {"fedavg": AveragingLearner(), "closed-form": ClosedFormLearner()}
"""Each learner by its name in the configuration."""


def learner_of(config: RunConfig) -> Learner:
    """The learner of a run.

    Example:
        >>> from fedlethe.config import resolve
        >>> learner_of(resolve({"learner": "closed-form"})).by_steps
        False
    """
    return LEARNERS[config.learner]
