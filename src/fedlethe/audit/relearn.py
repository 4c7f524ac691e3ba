# SPDX-License-Identifier: MIT
"""How fast does the forgotten client's data come back? What is only hidden is relearnt faster than what is new.

Steps of training on the forgotten images until their mean loss is what it was in the trained model, over the same
count for retrainings: near 1 is gone, near 0 is hidden (Golatkar, Achille, Soatto, 2020: relearn time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedlethe.audit.evidence import Answers, Evidence, Measured, Verdict
from fedlethe.audit.scores import Floats

SHORT_TRAININGS = (12, 0.25)
"""How often the forgotten images are trained on, and for how many epochs each time: the points of the curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Relearn:
    """Relearn time against retrainings.

    Attributes:
        tolerance: How far below the fastest retraining still counts as gone, in shares of the retrainings' mean.
    """

    paper: ClassVar[str] = "Golatkar, Achille, Soatto, 2020 (relearn time)"
    figure: ClassVar[str] = "relearn time over retrainings'"
    worse: ClassVar[Literal["large", "small"]] = "small"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.1

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        if any(answers.relearn is None for answers in (*evidence.candidates, *evidence.references)):
            return "nobody relearnt the forgotten images"
        target = float(np.mean([curve[0] for curve in _curves(evidence.untouched)]))
        references = np.array([steps_until(curve, target) for curve in _curves(evidence.references)])
        mean = float(references.mean())
        if mean == 0:
            return "retrainings are as good on the forgotten images from the start"

        def times(population: Sequence[Answers]) -> tuple[float, ...]:
            return tuple(steps_until(curve, target) / mean for curve in _curves(population))

        return Measured(times(evidence.candidates), times(evidence.untouched), times(evidence.references))


def steps_until(losses: Floats, target: float) -> float:
    """Where a curve of losses, shape (n,), first comes down to `target`, between the points by a straight line.

    Returns:
        In units of the curve's points; the last point where it never does.

    Example:
        >>> steps_until(np.array([3.0, 1.0, 0.5]), 2.0)
        0.5
    """
    if losses[0] <= target:
        return 0.0
    reached = np.flatnonzero(losses <= target)
    if not len(reached):
        return float(len(losses) - 1)
    after = int(reached[0])
    return after - 1 + float((losses[after - 1] - target) / (losses[after - 1] - losses[after]))


def _curves(population: Sequence[Answers]) -> list[Floats]:
    return [answers.relearn for answers in population if answers.relearn is not None]
