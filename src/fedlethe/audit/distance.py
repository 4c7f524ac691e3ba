# SPDX-License-Identifier: MIT
"""How far the predictions lie from retrainings', in units of how far retrainings lie from each other: rho.

rho = d(model, retrained) / q90 d(retrained_i, retrained_j), d the Jensen-Shannon divergence of the predictions on
held-out images. A trained model with rho of about 1 or less cannot be told from a retraining by what it predicts
there: whatever is done to it, nothing can be shown that way. It is no evidence that a client is left in the model: a
model can differ from retrainings for other reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np

from fedlethe.audit.evidence import Answers, Evidence, Measured, Verdict
from fedlethe.audit.scores import divergence


@dataclass(frozen=True, kw_only=True, slots=True)
class Distance:
    """rho of held-out predictions.

    Attributes:
        tolerance: How far above the retrainings' own rho still counts as one.
    """

    paper: ClassVar[str] = "Triantafillou et al., 2024 (the reference distribution); the gate is fedlethe's"
    figure: ClassVar[str] = "rho"
    worse: ClassVar[Literal["large", "small"]] = "large"
    words: ClassVar[tuple[Verdict, Verdict]] = ("alike", "different")
    gated: ClassVar[bool] = True

    tolerance: float = 0.0

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        references = evidence.references
        if len(references) < 3:
            return f"it takes 3 retrainings, there are {len(references)}"
        unit = float(np.quantile([_between(a, b) for a, b in combinations(references, 2)], 0.9))
        if unit == 0:
            return "the retrainings predict the same: they are copies of each other"
        return Measured(
            tuple(_mean(answers, references) / unit for answers in evidence.candidates),
            tuple(_mean(answers, references) / unit for answers in evidence.untouched),
            (1.0,),
        )


def _between(one: Answers, other: Answers) -> float:
    return divergence(one.test, other.test)


def _mean(answers: Answers, references: Sequence[Answers]) -> float:
    return float(np.mean([_between(answers, reference) for reference in references]))
