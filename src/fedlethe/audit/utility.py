# SPDX-License-Identifier: MIT
"""Is the model any good? Accuracy against the retrainings', and against guessing the commonest class.

Where classes are so uneven that a retraining itself is no more accurate than the commonest class, accuracy says
nothing: the figure is then the AUC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedlethe.audit.evidence import Answers, Evidence, Labels, Measured, Verdict
from fedlethe.audit.scores import wilson
from fedlethe.ranking import auc


@dataclass(frozen=True, kw_only=True, slots=True)
class Utility:
    """Test accuracy, all clients pooled; AUC where a retraining does no better than the commonest class.

    Attributes:
        tolerance: How far below the lowest retraining is still useful, in shares of images (or of AUC).
    """

    paper: ClassVar[str] = "the field's usual"
    figure: ClassVar[str] = "accuracy"
    worse: ClassVar[Literal["large", "small"]] = "small"
    words: ClassVar[tuple[Verdict, Verdict]] = ("useful", "not useful")
    gated: ClassVar[bool] = False

    tolerance: float = 0.02

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        labels = evidence.task.test
        figures = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}
        if set(labels.tolist()) == {0, 1}:
            figures["auc"] = area
        chosen, floor, figure = "accuracy", majority(labels), None
        if "auc" in figures and not all(accuracy(answers, labels) > floor for answers in evidence.references):
            chosen, floor, figure = "auc", 0.5, "AUC (not every retraining is more accurate than the commonest class)"

        def of(population: Sequence[Answers]) -> tuple[float, ...]:
            return tuple(figures[chosen](answers, labels) for answers in population)

        details = {
            name: float(np.mean([measure(answers, labels) for answers in evidence.candidates]))
            for name, measure in figures.items()
        }
        details["accuracy_low"], details["accuracy_high"] = wilson(details["accuracy"], len(labels))
        return Measured(
            of(evidence.candidates),
            of(evidence.untouched),
            of(evidence.references),
            floor=floor,
            details=details,
            figure=figure,
        )


def accuracy(answers: Answers, labels: Labels) -> float:
    """Share of right answers on the test images."""
    return float((answers.test.argmax(axis=1) == labels).mean())


def balanced_accuracy(answers: Answers, labels: Labels) -> float:
    """Mean over the classes of the share of right answers."""
    right = answers.test.argmax(axis=1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def area(answers: Answers, labels: Labels) -> float:
    """AUC of class 1 against class 0."""
    scores = answers.test[:, 1] - answers.test[:, 0]
    return auc(scores[labels == 1], scores[labels == 0])


def majority(labels: Labels) -> float:
    """The accuracy of always answering the commonest class."""
    return float(np.bincount(labels).max() / len(labels))
