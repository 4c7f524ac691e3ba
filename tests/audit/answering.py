# SPDX-License-Identifier: MIT
"""Answers made up from confidences, so that what an audit must find is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.audit import Answers, Evidence, Task
from fedlethe.audit.scores import Floats

NOTHING = np.zeros((1, 2)) + np.log(0.5)


def log_probabilities(phi: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """Two classes' log-probabilities whose confidence in the right class is phi: shape (n, 2)."""
    ratio, right = np.asarray(phi, dtype=float), np.asarray(labels, dtype=int)
    answers = np.empty((len(ratio), 2))
    answers[np.arange(len(ratio)), right] = -np.logaddexp(0, -ratio)
    answers[np.arange(len(ratio)), 1 - right] = -np.logaddexp(0, ratio)
    return answers


def answers(**given: Any) -> Answers:
    """Answers of which only some matter."""
    return Answers(**{"test": NOTHING, "forgotten": NOTHING, "retained": NOTHING, **given})


def task(**labels: Any) -> Task:
    """The right answers, class 0 for one image where nothing is given."""
    target = labels.pop("target", None)
    given = {name: np.asarray(labels.get(name, [0])) for name in ("test", "forgotten", "retained")}
    return Task(**given, target=target)


def evidence(
    of: Task, candidates: Sequence[Answers], untouched: Sequence[Answers], references: Sequence[Answers]
) -> Evidence:
    """Evidence, in the order in which a reader thinks of it."""
    return Evidence(of, candidates, untouched, references)
