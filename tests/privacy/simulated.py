# SPDX-License-Identifier: MIT
"""The best guess by simulation: an oracle for what `accounting` works out."""

from __future__ import annotations

import math

import numpy as np

from fedlethe.privacy.accounting import Array


def simulated_guess(
    means: Array, draws: int, generator: np.random.Generator, deviations: float = 3.0
) -> tuple[float, float, float]:
    """The best guess among K Gaussians wherever they lie, by Monte Carlo.

    Averages the largest posterior rather than counting hits: the same mean, and a smaller spread.

    Args:
        means: Shape (K, n), in units of the noise: unit covariance.
        draws: How many from each of them, at least 2.
        generator: Draws them.
        deviations: Half the interval's width, in standard errors.

    Returns:
        The estimate, and the interval's ends.
    """
    count, size = means.shape
    seen = means[:, None, :] + generator.standard_normal((count, draws, size))  # (K, draws, n)
    squares = np.stack([((seen - mean) ** 2).sum(axis=-1) for mean in means])  # (candidate, K, draws)
    likeness = -squares / 2
    best = np.exp(likeness.max(axis=0) - np.logaddexp.reduce(likeness, axis=0))  # (K, draws)
    estimate = float(best.mean())
    error = math.sqrt(float(best.var(axis=1, ddof=1).mean()) / best.size)  # stratified: as many draws of each
    return estimate, max(1 / count, estimate - deviations * error), min(1.0, estimate + deviations * error)
