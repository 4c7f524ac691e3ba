# SPDX-License-Identifier: MIT
"""Gaussian noise and what it hides: sigma <-> (epsilon, delta) <-> the best guess. Pure functions.

Balle & Wang, 'Improving the Gaussian Mechanism for Differential Privacy', ICML 2018, Theorem 8: with sensitivity D and
noise sigma, mu = D / sigma, the mechanism is (epsilon, delta)-differentially private if and only if

    delta >= Phi(mu / 2 - epsilon / mu) - exp(epsilon) Phi(-mu / 2 - epsilon / mu).

mu says all of it (Dong, Roth, Su, 'Gaussian Differential Privacy', JRSS B 2022): releases with independent noise
compose to the mu of `composed`.

A person understands another figure: K candidates, one of them true, each as likely; how often is it among the t that
the best attacker lists (t = 1: how often does the attacker name it)? `top_guess(mu, K, t)` is the answer for K
Gaussians whose means lie at distance mu (in units of sigma) from each other, and a bound for all that lie no farther
apart. Why it bounds: with G ~ N(0, C) the chance is S / K, S(C) = E[F(exp(G_i - C_ii / 2))], F(x) the sum of the t
largest x_i, which depends on C through the squared distances D_ij = C_ii + C_jj - 2 C_ij alone. Put the smooth
h(g) = E F(U_i exp(g_i)) for F, the U_i independent, of a smooth law close to 1; since h(g + c) = e^c h(g),
sum_j d_ij h = d_i h, and along a line of covariances

    dS/dt = 1/2 sum_ij C'_ij E[d_ij h] - 1/2 sum_i C'_ii E[d_i h] = -1/4 sum_ij D'_ij E[d_ij h],

where d_ij h <= 0 for i != j: a larger x_j can only push i off the list. So S grows with every distance (Slepian's
argument; the U_i to 1), and the regular simplex of edge mu is the worst of all candidates within mu of each other.

Where m of K clients are erased at once, the candidates are the sets of m. Naming the set is one thing, and picking one
client that is erased is an easier one: `pick_guess`. Let the clients stand in a circle in an order drawn at random, and
tell the attacker the order, and that those erased are one of the K / g arcs of m neighbours that begin at every g-th
place, g = gcd(K, m). That can only help, leaves these K / g sets equally likely, and puts each client into m / g of
them: a pick is a list of m / g sets, so it hits at most as often as `top_guess(mu, K / g, m / g)`.
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
    # In logarithms: exp(epsilon) overflows, and its Phi underflows, long before their product does either.
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
    # At a sensitivity of 1: delta depends on the ratio of the two alone.
    low, high = 1e-9, 1.0
    while gaussian_delta(epsilon, high) > delta:
        high *= 2
    # Each step halves the bracket: long before the last one its ends are neighbours in float64.
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(epsilon, middle) > delta else (low, middle)
    return high * sensitivity  # the upper end: rounding must not promise more than it keeps


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
    # Noise so large that the two laws differ by less than delta: no odds need be allowed on top.
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
        Attained; a bound also where a release was chosen after the ones before it were seen (Dong et al., 2022,
        Corollary 3.3).

    Example:
        >>> composed([3.0, 4.0])
        5.0
    """
    return math.hypot(*mus)


def top_guess(mu: float, candidates: int, listed: int = 1) -> float:
    """How often the best attacker names the true one of K equally likely candidates, none farther apart than mu sigma.

    The integral of phi(x - mu / sqrt 2) P(fewer than t of K - 1 others exceed x): attained where all lie at the
    distance mu from each other.

    Args:
        mu: The largest distance over sigma, at least 0; infinity is no noise.
        candidates: K, at least 1.
        listed: t, how many the attacker may name, one of which is to be the true one; from 1 to K.

    Example:
        >>> round(top_guess(0.0, 5), 6), round(top_guess(2.0, 2), 6)  # 1 / K; Phi(mu / 2) for two
        (0.2, 0.841345)
    """
    if candidates <= listed or mu == math.inf:
        return 1.0
    if mu == 0:
        return listed / candidates
    # K candidates, each on an axis of its own at mu / sqrt 2, lie at the distance mu from each other.
    centre = mu / math.sqrt(2)
    # Equal steps: of a smooth function that vanishes at both ends their error falls faster than any power of the step.
    step = 2 * _REACH / (_NODES - 1)
    total = 0.0
    for node in range(_NODES):
        z = -_REACH + node * step
        total += math.exp(-z * z / 2) * _fewer_exceed(centre + z, candidates - 1, listed)
    return min(1.0, total * step / math.sqrt(2 * math.pi))


def _fewer_exceed(x: float, others: int, count: int) -> float:
    """The chance that fewer than `count` of so many standard normal numbers exceed x."""
    # In logarithms: the power of a small chance underflows long before its product with a large one.
    above, below = log_phi(-x), log_phi(x)
    return sum(math.comb(others, k) * math.exp(k * above + (others - k) * below) for k in range(count))


def pick_guess(mu: float, clients: int, erased: int) -> float:
    """How often one client that the best attacker picks is among the m erased ones, each m of K being as likely.

    A bound for candidates no farther apart than mu sigma (see the module's docstring); of one erased client it is
    `top_guess`, and it is m / K where nothing is told.

    Args:
        mu: The largest distance over sigma, at least 0.
        clients: K, at least 1.
        erased: m, from 1 to K.

    Example:
        >>> pick_guess(0.0, 5, 2), pick_guess(0.7, 5, 1) == top_guess(0.7, 5)
        (0.4, True)
    """
    share = math.gcd(clients, erased)
    return top_guess(mu, clients // share, erased // share)


def mu_of_guess(guess: float, clients: int, erased: int = 1) -> float:
    """The largest mu for which `pick_guess` stays at or below a chance; naming all m at once is rarer still.

    Raises:
        ValueError: The chance is not above m / K, which no noise reaches, or not below 1, which needs none.
    """
    if not erased / clients < guess < 1:
        blind = f"{erased} / {clients} = {erased / clients:.3g}"
        of = f"a blind guess among {clients}" if erased == 1 else f"blindly picking one of the {erased} among {clients}"
        what = "naming the client" if erased == 1 else "picking a client that is erased"
        raise ValueError(f"the chance of {what} must be above {blind}, the chance of {of}, and below 1, not {guess}")
    low, high = 0.0, 1.0
    while pick_guess(high, clients, erased) < guess:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pick_guess(middle, clients, erased) <= guess else (low, middle)
    return low  # the end that keeps to the chance


def log_phi(x: float) -> float:
    """The logarithm of the standard normal's distribution function, without underflow."""
    # Far from where erfc underflows, at about -38; beyond, the series' error is its next term, 105 / x^8 < 5e-9.
    if x > -20:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6)
