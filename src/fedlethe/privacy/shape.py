# SPDX-License-Identifier: MIT
"""The noise that costs least: the covariance of least expected loss among all that hide the candidates equally well.

Noise N(0, S) in the span raises the expected loss by tr(H S) / 2, H the curvature (the first-order term has mean 0).
Candidates i and j are told apart no better than at mu if and only if d' S^-1 d <= mu^2, d = c_i - c_j. With M = S^-1,

    minimise tr(H M^-1)   subject to   d_p' M d_p <= mu^2 for every pair p,

a convex programme: the objective is convex, the constraints are linear in M. Let A(w) = sum_p w_p d_p d_p' for weights
w that sum to 1, X(w) the positive solution of X A X = H, and F(w) = tr(X A) = tr((H^(1/2) A H^(1/2))^(1/2)). Lagrange
duality (the multipliers are t w; the best t is (F / mu^2)^2) bounds the optimum from below by F(w)^2 / mu^2 for every
w, and M = X mu^2 / max_p g_p, g_p = d_p' X d_p, is feasible at the cost F(w) max_p g_p / mu^2. So

    (cost - optimum) / optimum <= max_p g_p / F(w) - 1 =: gap,

known at every step. The steps are w_p <- w_p g_p / F(w) (they sum to 1, since sum_p w_p g_p = F). F never falls:
A(w+)^-1 <= A^-1 (sum_p w_p^2 / w+_p d_p d_p') A^-1 =: B (the matrix Cauchy-Schwarz inequality), and psi(Y), which is F
at A = Y^-1, is convex and decreasing with derivative -A X A / 2, so F(w+) >= psi(B) >= F + (F - sum_p w_p^2 g_p / w+_p)
/ 2 = F. This is the multiplicative algorithm of optimal design (Yu, Annals of Statistics 2010, who proves that it
converges from weights that are all positive).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedlethe.privacy.accounting import Array

STEPS = 20_000
GAP = 1e-4
"""The relative gap at which to stop."""

LEAST_CURVATURE = 1e-4
"""Share of the mean curvature that every direction is taken to have at least: noise must not grow without bound where
the loss seems flat, since it is quadratic near the candidates only."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A covariance of noise in the span.

    Attributes:
        covariance: S, shape (n, n), positive definite.
        cost: tr(H S), with the H that was given.
        equal_cost: The same of the subspace mask's: the largest distance squared over mu squared, in every direction.
        gap: A bound on how far the cost lies above the least possible, relative to that (with LEAST_CURVATURE in H).
    """

    covariance: Array
    cost: float
    equal_cost: float
    gap: float


def cheapest(coordinates: Array, curvature: Array, mu: float, gap: float = GAP, steps: int = STEPS) -> Shape:
    """The cheapest covariance that keeps all candidates within mu of each other.

    Formal guarantees:
        d' S^-1 d <= mu^2 for all pairs, to rounding, however many steps were taken; never dearer than the subspace
        mask's covariance.

    Args:
        coordinates: Of the candidates in their span, shape (K, n), n >= 1.
        curvature: H, shape (n, n), positive semi-definite; LEAST_CURVATURE of its mean is added in every direction.
        mu: The largest d' S^-1 d allowed, its root; above 0, finite.
        gap: Stop at this relative gap ...
        steps: ... or after so many steps.
    """
    first, second = np.triu_indices(len(coordinates), 1)
    pairs = coordinates[first] - coordinates[second]  # (pairs, n)
    squares = (pairs**2).sum(axis=1)
    size = coordinates.shape[1]
    equal = np.eye(size) * float(squares.max()) / mu**2
    mean = float(np.trace(curvature)) / size
    if mean <= 0:  # no direction costs anything, as far as is known: there is nothing to shape by
        return Shape(equal, _trace(curvature, equal), _trace(curvature, equal), 0.0)
    # Scaled to a mean of 1, and the pairs to a length of at most 1: what is rounding does not depend on the model.
    hessian = curvature / mean + LEAST_CURVATURE * np.eye(size)
    root = _power(hessian, 0.5)
    pairs = pairs[squares > 0] / np.sqrt(squares.max())
    weights = np.full(len(pairs), 1 / len(pairs))  # all above 0: a weight of 0 would stay 0, whatever its pair needs
    best, best_gap = np.eye(size), np.inf
    for _ in range(steps):
        middle = _power(root @ (pairs.T * weights) @ pairs @ root, -0.5)
        solution = root @ middle @ root  # X: X A X = H
        gains = np.einsum("pi,ij,pj->p", pairs, solution, pairs)
        value = float(weights @ gains)
        now = float(gains.max()) / value - 1
        # F never falls, but the gap can rise on the way: the best solution is kept, not the last.
        if now < best_gap:
            best, best_gap = solution / float(gains.max()), now  # scaled so that the tightest pair just holds
        if best_gap <= gap:
            break
        weights *= gains / value
        weights /= weights.sum()  # they sum to 1 but for rounding, which would add up over the steps
    covariance = _power(best, -1.0) * float(squares.max()) / mu**2
    cost, equal_cost = _trace(curvature, covariance), _trace(curvature, equal)
    if cost > equal_cost:  # by no more than the gap
        covariance, cost = equal, equal_cost
    return Shape(covariance, cost, equal_cost, best_gap)


def _trace(one: Array, other: Array) -> float:
    """The trace of the product of two symmetric matrices."""
    return float((one * other).sum())


def _power(matrix: Array, exponent: float) -> Array:
    """A power of a symmetric positive matrix; eigenvalues that are rounding are raised to it."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    raised: Array = (vectors * np.maximum(values, 1e-15 * float(values.max())) ** exponent) @ vectors.T
    return raised
