# SPDX-License-Identifier: MIT
"""How well scores tell two groups apart."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def auc(positive: Floats, negative: Floats) -> float:
    """The chance that a positive's score lies above a negative's, ties counting half (Mann and Whitney, 1947).

    It is the area under the ROC curve.

    Args:
        positive: Scores, shape (n,), n >= 1.
        negative: Scores, shape (m,), m >= 1.

    Example:
        >>> auc(np.array([1.0, 2.0]), np.array([0.0, 2.0]))
        0.625
    """
    return float(_pairs_below(positive, negative).sum() / (2 * len(positive) * len(negative)))


def _pairs_below(scores: Floats, others: Floats) -> npt.NDArray[np.int64]:
    """Twice the number of the others below each score, those that are equal counting half."""
    ordered = np.sort(others)
    return np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")


def auc_interval(positive: Floats, negative: Floats) -> tuple[float, float]:
    """A 95 % interval of the AUC: DeLong, DeLong and Clarke-Pearson, Biometrics 1988.

    It is symmetric on the scale of log-odds, so that it stays within 0 and 1, and as wide as Student's t makes it with
    the degrees of freedom of Welch (1947), since a hospital may have a handful of images of one class. Where all
    positives lie above all negatives (or below) the variance is 0 and says nothing: the bound is then that of as many
    successes as there are members of the smaller group (Clopper and Pearson, 1934), too wide sooner than too narrow.

    Args:
        positive: Scores, shape (n,), n >= 1.
        negative: Scores, shape (m,), m >= 1. Where n or m is 1, nothing is known of that group's spread: (0, 1);
            so it is where all scores are one.

    Example:
        >>> auc_interval(np.array([3.0, 4.0]), np.array([2.0]))
        (0.0, 1.0)
    """
    n, m = len(positive), len(negative)
    area = auc(positive, negative)
    if min(n, m) == 1:
        return (0.0, 1.0)
    if area in (0.0, 1.0):
        least = 0.025 ** (1 / min(n, m))
        return (least, 1.0) if area == 1.0 else (0.0, 1 - least)
    # Of each positive the share of negatives below it, of each negative the share of positives below it.
    of_positive = float((_pairs_below(positive, negative) / (2 * m)).var(ddof=1)) / n
    of_negative = float((_pairs_below(negative, positive) / (2 * n)).var(ddof=1)) / m
    both = of_positive + of_negative
    if not both:  # all scores are one: they rank nothing
        return (0.0, 1.0)
    freedom = both**2 / (of_positive**2 / (n - 1) + of_negative**2 / (m - 1))
    centre, half = math.log(area / (1 - area)), _student(freedom) * math.sqrt(both) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-bound)) for bound in (centre - half, centre + half))
    return low, high


def _student(freedom: float) -> float:
    """Student's t at 97.5 %, for one degree of freedom and more (Fisher and Cornish's expansion; exact at one)."""
    if freedom < 2:
        return 12.706
    z = 1.959964
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))
