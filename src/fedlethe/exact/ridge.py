# SPDX-License-Identifier: MIT
"""The head: ridge regression of the one-hot class on standardised features, from statistics alone.

Hoerl & Kennard, 1970. With mean m and standard deviation s of the features, Z = (X - m) / s and Yc the centred targets,

    W = (Z' Z + lambda I)^-1 Z' Yc,     answer(x) = mean of y + W' (x - m) / s,

all of which are functions of the sums in `Statistics`. Probabilities: the answers' difference between class 1 and
class 0 is Gaussian in each class with a common variance (linear discriminant analysis on one number), whose means and
variance are functions of the sums, too; with more classes, each answer against the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fedlethe.exact.statistics import Array, Statistics

LEAST_DEVIATION = 1e-6
"""Below this share of the largest standard deviation a feature is taken for constant."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear map from d features to c classes' log-odds.

    Attributes:
        weight: Shape (c, d).
        bias: Shape (c,).
        condition: Bound on the condition number of the system that was solved.
    """

    weight: Array
    bias: Array
    condition: float


def solve(statistics: Statistics, penalty: float, balanced: bool = False) -> Head:
    """Fit the head.

    Args:
        statistics: Of all rows together, two classes at least.
        penalty: lambda, above 0; relative to standardised features, so of the order of the number of rows.
        balanced: Take classes for equally likely; otherwise as likely as they are in the statistics.
    """
    n = float(statistics.weights.sum())
    mean = statistics.sums / n
    variance = np.maximum(np.diag(statistics.gram) / n - mean**2, 0.0)
    deviation = np.sqrt(variance)
    still = deviation <= LEAST_DEVIATION * max(float(deviation.max()), 1e-300)
    inverse = np.where(still, 0.0, 1 / np.where(still, 1.0, deviation))
    scatter = (statistics.gram - n * np.outer(mean, mean)) * inverse[:, None] * inverse[None, :]  # Z' Z
    targets = (statistics.cross - np.outer(mean, statistics.weights)) * inverse[:, None]  # Z' Yc
    system = scatter.copy()
    system[np.diag_indices_from(system)] += penalty
    factor = torch.linalg.cholesky(torch.from_numpy(system))
    solution = torch.cholesky_solve(torch.from_numpy(targets), factor).numpy()  # (d, c)
    raw = solution * inverse[:, None]
    weight, bias = _calibrated(statistics, raw, n, mean, balanced)
    largest = float(np.abs(scatter).sum(axis=1).max())  # no eigenvalue is above the largest row sum
    return Head(weight, bias, (largest + penalty) / penalty)


def _calibrated(statistics: Statistics, raw: Array, n: float, mean: Array, balanced: bool) -> tuple[Array, Array]:
    """Log-odds from the scores x' raw, shape (d, c): weight (c, d) and bias (c,)."""
    means = raw.T @ (statistics.cross / np.maximum(statistics.weights, 1e-12))  # (score, class)
    centred = statistics.gram @ raw  # (d, c)
    second = np.einsum("dc,dc->c", raw, centred) / n  # E of each score squared
    c = raw.shape[1]
    share = statistics.weights / n
    prior = np.full(c, 1 / c) if balanced else np.maximum(share, 1e-12)
    weight, bias = np.zeros((c, len(mean))), np.zeros(c)
    for k in range(c):
        others = np.delete(np.arange(c), k)
        rest = (means[k, others] @ share[others]) / max(float(share[others].sum()), 1e-12)
        within = second[k] - share[k] * means[k, k] ** 2 - share[others].sum() * rest**2
        slope = (means[k, k] - rest) / max(float(within), 1e-12)
        weight[k] = slope * raw[:, k]
        bias[k] = -slope * (means[k, k] + rest) / 2 + np.log(prior[k] / (1 - prior[k]))
    if c == 2:  # both scores say the same, once with each sign: half of it each, so that the difference is the log-odds
        return weight / 2, bias / 2
    return weight, bias
