# SPDX-License-Identifier: MIT
"""Gaussian noise and what it hides: sigma <-> (epsilon, delta), by the analytic Gaussian mechanism. Pure functions.

Balle & Wang, 'Improving the Gaussian Mechanism for Differential Privacy', ICML 2018, Theorem 8: with sensitivity D and
noise sigma, s = D / sigma, the mechanism is (epsilon, delta)-differentially private exactly for

    delta >= Phi(s / 2 - epsilon / s) - exp(epsilon) Phi(-s / 2 - epsilon / s).
"""

from __future__ import annotations

import math


def gaussian_delta(epsilon: float, sigma: float, sensitivity: float = 1.0) -> float:
    """The least delta for an epsilon >= 0."""
    s = sensitivity / sigma
    if s == 0:
        return 0.0
    tail = log_phi(-s / 2 - epsilon / s)
    return max(0.0, math.exp(log_phi(s / 2 - epsilon / s)) - math.exp(epsilon + tail))


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least sigma for an (epsilon, delta), to twelve digits.

    Raises:
        ValueError: epsilon is not above 0, or delta not between 0 and 1.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon must be a finite number above 0, not {epsilon}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, not {delta}")
    low, high = 1e-9, 1.0
    while gaussian_delta(epsilon, high) > delta:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(epsilon, middle) > delta else (low, middle)
    return high * sensitivity


def log_phi(x: float) -> float:
    """The logarithm of the standard normal's distribution function, without underflow."""
    if x > -20:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6)
