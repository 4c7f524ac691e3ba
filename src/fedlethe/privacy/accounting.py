# SPDX-License-Identifier: MIT
"""Gaussian noise and what it hides: sigma <-> (epsilon, delta) <-> the best guess. Pure functions.

Balle & Wang, 'Improving the Gaussian Mechanism for Differential Privacy', ICML 2018, Theorem 8: with sensitivity D and
noise sigma, mu = D / sigma, the mechanism is (epsilon, delta)-differentially private exactly for

    delta >= Phi(mu / 2 - epsilon / mu) - exp(epsilon) Phi(-mu / 2 - epsilon / mu).

mu says all of it (Dong, Roth, Su, 'Gaussian Differential Privacy', JRSS B 2022): releases with independent noise
compose to the mu of `composed`, exactly.

A person understands another figure: K candidates, one of them true, each as likely; how often does the best attacker
name it? `top_guess(mu, K)` is the answer for K Gaussians whose means lie at distance mu (in units of sigma) from each
other, and a bound for all that lie no farther apart. Why it bounds: with G ~ N(0, C) the chance is S / K,
S(C) = E[max_i exp(G_i - C_ii / 2)], which depends on C through the squared distances D_ij = C_ii + C_jj - 2 C_ij alone.
Put the smooth h(g) = (sum_i exp(beta g_i))^(1/beta), beta > 1, for the maximum of exp(g_i); since h(g + c) = e^c h(g),
sum_j d_ij h = d_i h, and along a line of covariances

    dS/dt = 1/2 sum_ij C'_ij E[d_ij h] - 1/2 sum_i C'_ii E[d_i h] = -1/4 sum_ij D'_ij E[d_ij h],

where d_ij h < 0 for i != j. So S grows with every distance (Slepian's argument; beta to infinity), and the regular
simplex of edge mu is the worst of all candidates within mu of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_NODES = 401
_REACH = 10.0
"""Standard deviations on either side that the integral of `top_guess` takes in: what it leaves out is below 1e-22."""


def gaussian_delta(epsilon: float, sigma: float, sensitivity: float = 1.0) -> float:
    """The least delta for an epsilon >= 0."""
    mu = sensitivity / sigma
    if mu == 0:
        return 0.0
    tail = log_phi(-mu / 2 - epsilon / mu)
    return max(0.0, math.exp(log_phi(mu / 2 - epsilon / mu)) - math.exp(epsilon + tail))


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """The least sigma for an (epsilon, delta), to twelve digits.

    Raises:
        ValueError: epsilon is not above 0, or delta not between 0 and 1.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon must be a finite number above 0, not {epsilon}")
    demand_delta(delta)
    low, high = 1e-9, 1.0
    while gaussian_delta(epsilon, high) > delta:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(epsilon, middle) > delta else (low, middle)
    return high * sensitivity


def gaussian_epsilon(delta: float, sigma: float, sensitivity: float = 1.0) -> float:
    """The least epsilon >= 0 for a delta; infinite where nothing is added to candidates that differ.

    Raises:
        ValueError: delta is not between 0 and 1.

    Example:
        >>> round(gaussian_epsilon(1e-5, gaussian_sigma(3.0, 1e-5)), 9)
        3.0
    """
    demand_delta(delta)
    if sensitivity == 0:
        return 0.0
    if sigma == 0:
        return math.inf
    if gaussian_delta(0.0, sigma, sensitivity) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(high, sigma, sensitivity) > delta:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(middle, sigma, sensitivity) > delta else (low, middle)
    return high


def demand_delta(delta: float) -> None:
    """Refuse a delta that means nothing."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, not {delta}")


def composed(mus: Iterable[float]) -> float:
    """The mu of several releases about one secret, each with noise of its own: the root of the sum of squares.

    Formal guarantees:
        Exact, also where a release was chosen after the ones before it were seen (Dong et al., 2022, Corollary 3.3).

    Example:
        >>> composed([3.0, 4.0])
        5.0
    """
    return math.hypot(*mus)


def guess_bound(epsilon: float, delta: float, candidates: int) -> float:
    """The most that (epsilon, delta) alone allows the best guess, K candidates being equally likely.

    For disjoint events S_i, P_i(S_i) <= exp(epsilon) P_j(S_i) + delta for all j; summed over i and j this gives
    (e^epsilon + (K - 1) delta) / (e^epsilon + K - 1). Of Gaussian noise more is known: `top_guess` is smaller.

    Example:
        >>> round(guess_bound(math.log(3.0), 0.0, 2), 3)
        0.75
    """
    if epsilon == math.inf:
        return 1.0
    others = (candidates - 1) * math.exp(-epsilon)
    return min(1.0, (1 + delta * others) / (1 + others))


def top_guess(mu: float, candidates: int) -> float:
    """How often the best attacker names the true one of K equally likely candidates, none farther apart than mu sigma.

    The integral of phi(x - mu / sqrt 2) Phi(x)^(K - 1): attained where all lie at the distance mu from each other.

    Args:
        mu: The largest distance over sigma, at least 0; infinity is no noise.
        candidates: K, at least 1.

    Example:
        >>> round(top_guess(0.0, 5), 6), round(top_guess(2.0, 2), 6)  # 1 / K; Phi(mu / 2) for two
        (0.2, 0.841345)
    """
    if candidates == 1 or mu == math.inf:
        return 1.0
    if mu == 0:
        return 1 / candidates
    centre = mu / math.sqrt(2)
    step = 2 * _REACH / (_NODES - 1)
    total = 0.0
    for node in range(_NODES):
        z = -_REACH + node * step
        total += math.exp(-z * z / 2 + (candidates - 1) * log_phi(centre + z))
    return min(1.0, total * step / math.sqrt(2 * math.pi))


def mu_of_guess(guess: float, candidates: int) -> float:
    """The largest mu for which `top_guess` stays at or below a chance.

    Raises:
        ValueError: The chance is not above 1 / K, which no noise reaches, or not below 1, which needs none.
    """
    if not 1 / candidates < guess < 1:
        least = f"1 / {candidates} = {1 / candidates:.3g}, the chance of a blind guess among {candidates}"
        raise ValueError(f"the chance of naming the client must be above {least}, and below 1, not {guess}")
    low, high = 0.0, 1.0
    while top_guess(high, candidates) < guess:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if top_guess(middle, candidates) <= guess else (low, middle)
    return low


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


def log_phi(x: float) -> float:
    """The logarithm of the standard normal's distribution function, without underflow."""
    if x > -20:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6)
