# SPDX-License-Identifier: MIT
"""From scores to figures: true-positive rate at a false-positive rate, intervals, divergence. numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fedlethe.ranking import Floats as Floats  # what scores are, here and for whoever reads them


def tpr_at_fpr(positive: Floats, negative: Floats, fpr: float) -> float:
    """The largest share of positives above a threshold that at most a share `fpr` of the negatives lies above.

    Args:
        positive: Scores, shape (n,).
        negative: Scores, shape (m,).
        fpr: In [0, 1].

    Example:
        >>> tpr_at_fpr(np.array([3.0, 1.0]), np.array([0.0, 2.0]), 0.0)
        0.5
    """
    allowed = int(fpr * len(negative) + 1e-9)
    if allowed >= len(negative):
        return 1.0
    threshold = np.sort(negative)[::-1][allowed]
    return float((positive > threshold).mean())


def bootstrap(
    statistic: Callable[[Floats, Floats], float],
    positive: Floats,
    negative: Floats,
    generator: np.random.Generator,
    draws: int = 200,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of a statistic of two samples, each drawn anew with replacement (Efron, 1979).

    Args:
        statistic: Of positives and negatives.
        positive: Shape (n,).
        negative: Shape (m,).
        generator: Draws the samples.
        draws: How many.
        level: Share of the draws that the interval holds.
    """
    values = [
        statistic(generator.choice(positive, len(positive)), generator.choice(negative, len(negative)))
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many independent cases (Wilson, 1927).

    Args:
        share: In [0, 1].
        count: At least 1.

    Example:
        >>> low, high = wilson(0.5, 100)
        >>> round(low, 3), round(high, 3)
        (0.404, 0.596)
    """
    z = 1.959964
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


ROUNDING = 1e-14
"""A divergence below it is what float64 leaves of equal predictions, and may even be negative."""


def divergence(one: Floats, other: Floats) -> float:
    """The Jensen-Shannon divergence of two models' predictions, mean over the examples, in nats.

    Args:
        one: Log-probabilities, shape (n, classes).
        other: The same examples, shape (n, classes).
    """
    p, q = np.exp(one), np.exp(other)
    middle = np.log((p + q) / 2 + 1e-300)
    found = float((p * (one - middle) + q * (other - middle)).sum(axis=1).mean() / 2)
    return found if found > ROUNDING else 0.0


def confidence(answers: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """Phi = log p_y - log(sum of the other classes' p) of each example (Carlini et al., 2022), shape (n,).

    Args:
        answers: Log-probabilities, shape (n, classes).
        labels: Shape (n,).
    """
    rows = np.arange(len(labels))
    others = answers.copy()
    others[rows, labels] = -np.inf
    ratio: Floats = answers[rows, labels] - np.logaddexp.reduce(others, axis=1)
    return ratio
