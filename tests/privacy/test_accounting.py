# SPDX-License-Identifier: MIT
"""The analytic Gaussian against the integral that defines it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fedlethe.privacy.accounting import gaussian_delta, gaussian_sigma, log_phi


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_delta_is_the_hockey_stick_divergence(epsilon: float, sigma: float) -> None:
    x = np.linspace(-60, 60, 1_200_001)
    one, other = (np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for mean in (1.0, 0.0))
    expected = float(np.maximum(one - math.exp(epsilon) * other, 0).sum() * (x[1] - x[0]))
    assert gaussian_delta(epsilon, sigma) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("delta", [1e-10, 1e-5, 0.1])
def test_sigma_is_the_least_that_keeps_to_both(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta, sensitivity=2.0)
    assert gaussian_delta(epsilon, sigma, sensitivity=2.0) == pytest.approx(delta, rel=1e-6)
    assert gaussian_delta(epsilon, 0.999 * sigma, sensitivity=2.0) > delta


def test_the_tail_does_not_underflow() -> None:
    assert log_phi(0.0) == pytest.approx(math.log(0.5))
    assert log_phi(-20.001) == pytest.approx(log_phi(-19.999), rel=1e-3)  # both branches
    assert log_phi(-60.0) == pytest.approx(-1800 - math.log(60 * math.sqrt(2 * math.pi)), rel=1e-6)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.1), (-1.0, 0.1), (math.nan, 0.1), (1.0, 0.0), (1.0, 1.0)])
def test_what_means_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon|delta"):
        gaussian_sigma(epsilon, delta)
