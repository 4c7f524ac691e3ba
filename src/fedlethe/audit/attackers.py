# SPDX-License-Identifier: MIT
"""Who left? Three attackers guess which client was erased; how often they are right, against chance and the bound.

- server view: has the model before and after and every client's influence I_k. The guess is the client whose influence
  lies most in the direction of the change, argmax_k cos(before - after, I_k).
- outsider: has both models and, of each client, images like its own. The guess is the client on whose images the loss
  rose most.
- full knowledge: has every candidate r(k), the model that erasing k instead would have led to, and the law of the
  noise. The guess is the likeliest candidate: no attacker who sees the released vector does better.

Each client is erased in turn, so a blind attacker is right once in K. The first two say what is to be had for little;
only the third tests a guarantee: its success must not exceed the bound beyond its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.audit.scores import Floats

Attacker: TypeAlias = Literal["server view", "outsider", "full knowledge"]
ATTACKERS: tuple[Attacker, ...] = ("server view", "outsider", "full knowledge")

LEVEL = 0.99
"""Of the intervals."""

_ALIKE = 1e-12
"""Scores this close, as a share of their range in the trial, are a tie."""


@dataclass(frozen=True, slots=True)
class Success:
    """How often an attacker named the client.

    Attributes:
        hits: How often.
        trials: Out of how many.
        low: The interval's lower end.
        high: Its upper end.
    """

    hits: int
    trials: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share of hits."""
        return self.hits / self.trials

    @classmethod
    def of(cls, right: npt.NDArray[np.bool_], level: float = LEVEL) -> Success:
        """From trials, shape (n,), n >= 1, with the interval of Clopper and Pearson."""
        hits, trials = int(right.sum()), len(right)
        return cls(hits, trials, *clopper_pearson(hits, trials, level))


def server_view(changes: Floats, influences: Floats) -> Floats:
    """The cosine of each change with each client's influence, shape (trials, K).

    Args:
        changes: Before less after, shape (trials, d): whole vectors, or their products with any orthonormal basis of
            a space that holds the influences. Up to a factor that is the same for all clients, that is the cosine.
        influences: Shape (K, d).
    """
    lengths = np.linalg.norm(influences, axis=1)
    products = changes @ (influences / np.where(lengths > 0, lengths, 1.0)[:, None]).T
    cosines: Floats = products / np.maximum(np.linalg.norm(changes, axis=1), 1e-300)[:, None]
    return cosines


def outsider(before: Floats, after: Floats) -> Floats:
    """How much the loss rose on each client's images, shape (trials, K).

    Args:
        before: Mean losses of the trained model, shape (K,).
        after: Of each released model, shape (trials, K).
    """
    return after - before


def full_knowledge(released: Floats, candidates: Floats, factor: Floats | None = None) -> Floats:
    """The log-likelihood of each candidate, less what all have in common, shape (trials, K).

    Args:
        released: What is seen, shape (trials, d), d >= 0.
        candidates: Shape (K, d).
        factor: L, shape (d, d), of the noise's covariance L L'; None for noise alike in all directions, of whatever
            size.
    """
    if factor is not None and factor.size:
        released = np.linalg.solve(factor, released.T).T
        candidates = np.linalg.solve(factor, candidates.T).T
    likeness: Floats = -((released[:, None, :] - candidates[None]) ** 2).sum(axis=-1) / 2
    return likeness


def guesses(scores: Floats, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """The client of the largest score in each trial, shape (trials,); equal ones are chosen among at random.

    Args:
        scores: Shape (trials, K). One that is not finite is the least.
        generator: Breaks ties.
    """
    finite = np.isfinite(scores)
    least = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
    best = np.where(finite, scores, -np.inf).max(axis=1, keepdims=True)
    some = finite.any(axis=1, keepdims=True)
    width = np.where(some, best - least, 0.0)
    near = np.where(some, finite & (scores >= best - _ALIKE * width), True)
    chosen: npt.NDArray[np.int64] = np.where(near, generator.random(scores.shape), -1.0).argmax(axis=1)
    return chosen


def clopper_pearson(hits: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a binomial proportion that holds at any number of trials (Clopper & Pearson, 1934).

    Example:
        >>> low, high = clopper_pearson(0, 100, level=0.95)
        >>> low, round(high, 4)
        (0.0, 0.0362)
    """
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, trials, p), tail)
    high = 1.0 if hits == trials else _solve(lambda p: -_at_most(hits, trials, p), -tail)
    return low, high


def _at_most(hits: int, trials: int, p: float) -> float:
    """P(X <= hits) of a binomial law, 0 < p < 1."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    x = np.arange(hits + 1)
    terms = (
        factorials[trials] - factorials[x] - factorials[trials - x] + x * math.log(p) + (trials - x) * math.log1p(-p)
    )
    return float(np.exp(np.logaddexp.reduce(terms)))


def _solve(rising: Callable[[float], float], value: float) -> float:
    """Where a function that rises on (0, 1) takes a value."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
