# SPDX-License-Identifier: MIT
"""Clipping, and the masks: calibrated noise that hides which client was erased.

The observer is given everything but the answer: the trained model, every candidate r(1), ..., r(K) (the model that
erasing client i instead would have led to), the mask and its size, and the released vector. What is hidden is which of
the candidates it was made from. Since the candidates are the observer's already, the noise may be measured by them: the
sensitivity is the largest distance between two of this run's candidates, not a bound over all data sets.

All three masks release a vector whose law, seen from candidate i against candidate j, is a Gaussian shifted by at most
mu = distance / sigma standard deviations, so each buys the same (epsilon, delta) and the same bounds on the best guess
(`accounting.top_guess`, `pick_guess`); they differ in what they cost. Whatever is done to the vector afterwards without
knowing the answer (the floor under running variances, rounding, evaluation) takes nothing away from that.

Not hidden: that somebody was erased, and how many; what a second release made from other noise adds
(`accounting.composed`); what clients' further training shows, since those who train are not gone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fedlethe.later import torch
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.noise import Noise
from fedlethe.privacy.span import BLOCK, Span
from fedlethe.types import Vector


def clip_factor(vector: Vector, norm: float) -> float:
    """What a vector is multiplied by to clip it to an L2 norm: min(1, norm / ||vector||).

    Args:
        vector: Shape (P,).
        norm: Above 0; infinity clips nothing.

    Example:
        >>> clip_factor(torch.tensor([3.0, 4.0]), 1.0)
        0.2
    """
    if math.isinf(norm):
        return 1.0
    # In float64: a sum of millions of squares loses digits in float32, and the clipped norm would exceed its bound.
    length = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    return min(1.0, norm / length) if length > 0 else 1.0


def demand_sigma(sigma: float) -> None:
    """Refuse a sigma that means nothing."""
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be a finite number of at least 0, not {sigma}")


@dataclass(frozen=True, kw_only=True, slots=True)
class IsotropicMask:
    """Independent Gaussian noise on every weight: r(u) + N(0, sigma^2).

    Formal guarantees:
        For candidates i and j at distance D: (epsilon, delta) of the analytic Gaussian with mu = D / sigma. The sum is
        taken in float64 and rounded once, so that its last bits do not tell r(u) from another candidate. The norm of
        the noise is about sigma x sqrt(P): on a deep network it ruins accuracy long before it hides anyone.

    Attributes:
        sigma: Standard deviation of the noise on each weight; 0 adds none.
    """

    sigma: float = 0.0

    def __post_init__(self) -> None:
        demand_sigma(self.sigma)

    def apply(self, vector: Vector, noise: Noise) -> Vector:
        """The vector with the noise added, shape (P,); a running variance may then need its floor."""
        masked = vector.clone()
        # By blocks, so that no second copy of a large model is made in float64.
        for start in range(0, vector.numel() if self.sigma > 0 else 0, BLOCK):
            part = vector[start : start + BLOCK].numpy().astype(np.float64)
            part += self.sigma * noise.standard_normal(len(part))
            # Rounded to float32 here and nowhere before: noise that was rounded first would lie on a grid of its own,
            # and the sum less a candidate would show whether it lies on it.
            masked[start : start + BLOCK] = torch.from_numpy(part)
        return masked

    def release(self, span: Span, erased: int, noise: Noise) -> Vector:
        """The candidate of index `erased`, masked: shape (P,)."""
        return self.apply(span.models[erased], noise)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpanMask:
    """Gaussian noise in the span of the candidates alone: r(u) + Q z, z ~ N(0, S) in n < K dimensions.

    Formal guarantees:
        Candidates i and j are told apart just as N(c_i, S) and N(c_j, S) are: mu^2 = (c_i - c_j)' S^-1 (c_i - c_j).
        With S = sigma^2 I that is what the isotropic mask of the same sigma hides, since isotropic noise outside the
        span has the same law whoever was erased; but the noise has norm sigma x sqrt(n) rather than sigma x sqrt(P).
        The released vector is a function of c_u + z alone (`Span.at`): neither its rounding nor the numerical rank of
        the span takes anything away.

    Edge cases:
        Candidates that coincide have a span of no dimension: the vector is their common model, no noise is needed.

    Attributes:
        factor: L, shape (n, n), S = L L': sigma I is the subspace mask; a root of `shape.cheapest` the shaped one.
    """

    factor: Array

    def release(self, span: Span, erased: int, noise: Noise) -> Vector:
        """The candidate of index `erased`, masked: shape (P,)."""
        # Not models[erased] plus noise: their bits outside the span are each candidate's own, and would name it.
        return span.at(span.coordinates[erased] + self.factor @ noise.standard_normal(span.rank))


Mask: TypeAlias = IsotropicMask | SpanMask


def subspace(sigma: float, span: Span) -> SpanMask:
    """The subspace mask: as much noise in every direction of the span, sigma >= 0."""
    demand_sigma(sigma)
    return SpanMask(factor=sigma * np.eye(span.rank))


def shaped(covariance: Array) -> SpanMask:
    """The shaped mask: noise of this covariance, shape (n, n), positive definite."""
    # Any root gives noise of the same law. This one is unique, so that a secret gives the same bytes again.
    return SpanMask(factor=np.linalg.cholesky(covariance).astype(np.float64))
