# SPDX-License-Identifier: MIT
"""The forget quality of the NeurIPS 2023 unlearning challenge: a privacy degree for each image, binned and averaged.

Triantafillou et al., 'Are We Making Progress in Unlearning? Findings from the First NeurIPS Unlearning Competition',
2024: for each image the epsilon of telling unlearned from retrained models by the confidence phi, the largest over
thresholds of max(log(1 - delta - FPR) - log FNR, log(1 - delta - FNR) - log FPR); a test that makes errors of one
kind alone is discarded, one that makes none is worth infinity. The score is the mean of 2 / 2^n over the images, n the
bin of width 1/2 that epsilon falls into, 1 to 13: 1 is best.

The competition drew 512 models of each kind. With as few as here epsilon comes in coarse steps, so the score is not to
be compared with the competition's; it is compared with what retrainings score against each other in equal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedlethe.audit.evidence import Evidence, Measured, Verdict
from fedlethe.audit.scores import Floats, confidence

BINS = 13
WIDTH = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetQuality:
    """Mean binned privacy degree of the forgotten images.

    Attributes:
        tolerance: How far below the lowest score of retrainings against each other still counts as gone.
        models: The fewest models on either side.
        delta: Of the privacy degree.
        splits: How often the retrainings are split in two.
    """

    paper: ClassVar[str] = "Triantafillou et al., 2024 (NeurIPS 2023 unlearning challenge)"
    figure: ClassVar[str] = "forget quality"
    worse: ClassVar[Literal["large", "small"]] = "small"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.02
    models: int = 4
    delta: float = 1e-5
    splits: int = 10

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        size = min(len(evidence.candidates), len(evidence.references) // 2)
        if size < self.models:
            wanted = f"{self.models} models and {2 * self.models} retrainings"
            return f"it takes {wanted}, there are {len(evidence.candidates)} and {len(evidence.references)}"
        labels = evidence.task.forgotten
        candidates, untouched, references = (
            np.stack([confidence(answers.forgotten, labels) for answers in population])
            for population in (evidence.candidates, evidence.untouched, evidence.references)
        )
        generator = np.random.default_rng(0)
        orders = [generator.permutation(len(references)) for _ in range(self.splits)]
        halves = [(references[order[:size]], references[order[size : 2 * size]]) for order in orders]

        def scores(models: Floats) -> tuple[float, ...]:
            chosen = (np.roll(models, -start, axis=0)[:size] for start in range(len(models)))
            return tuple(float(np.mean([self.score(some, one) for one, _ in halves])) for some in chosen)

        among = tuple(self.score(one, other) for one, other in halves)
        return Measured(scores(candidates), scores(untouched), among)

    def score(self, unlearned: Floats, retrained: Floats) -> float:
        """The forget quality of phi, shape (models, images), against phi of as many retrained models."""
        bins = np.digitize(privacy_degrees(unlearned, retrained, self.delta), np.arange(BINS) * WIDTH)
        return float((2.0 / 2.0**bins).mean())


def privacy_degrees(unlearned: Floats, retrained: Floats, delta: float) -> Floats:
    """Epsilon of each image, shape (images,), from phi, shape (models, images), of either kind; at least 0."""
    values = np.sort(np.concatenate([unlearned, retrained]), axis=0)
    thresholds = (values[1:] + values[:-1]) / 2  # (thresholds, images)
    best = np.zeros(unlearned.shape[1])
    above_unlearned = (unlearned[None] > thresholds[:, None]).mean(axis=1)
    above_retrained = (retrained[None] > thresholds[:, None]).mean(axis=1)
    for fpr, fnr in ((above_retrained, 1 - above_unlearned), (1 - above_retrained, above_unlearned)):
        perfect = (fpr <= 0) & (fnr <= 0)
        discarded = ((fpr <= 0) | (fnr <= 0)) & ~perfect
        with np.errstate(divide="ignore", invalid="ignore"):
            one = np.log(1 - delta - fpr) - np.log(fnr)
            other = np.log(1 - delta - fnr) - np.log(fpr)
            epsilon = np.fmax(one, other)
        epsilon = np.where(perfect, np.inf, np.where(discarded | np.isnan(epsilon), 0.0, epsilon))
        best = np.maximum(best, epsilon.max(axis=0))
    return best
