# SPDX-License-Identifier: MIT
"""The candidates of an erasure, seen from within their span: K models of P floats as K points in K - 1 dimensions.

With mean m and centred candidates d_k = r_k - m, the K x K Gram matrix G = (d_i' d_j) = V L V' is all that is needed:
the candidates' coordinates are V L^(1/2), an orthonormal basis of the span is Q = sum_k d_k (V L^(-1/2))_k, and a point
y of the span is the model

    m + Q y = sum_k b_k r_k,     b = 1/K + the centred V L^(-1/2) y:

a mixture of the candidates whose weights sum to 1. Nothing larger than the candidates themselves is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlethe.later import torch
from fedlethe.privacy.accounting import Array
from fedlethe.types import Vector

BLOCK = 1 << 20
"""Floats of each candidate that are looked at together, in float64."""

ROUNDING = 1e-7
"""Candidates that lie closer than this share of their norm differ by the rounding of float32 alone."""

_RANK = 1e-12
"""Below this share of the largest eigenvalue of the Gram matrix an eigenvalue is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """K candidates and the space that they span around their mean, of dimension n < K.

    Attributes:
        models: r_1 to r_K, each of shape (P,).
        coordinates: Of the candidates, shape (K, n).
        basis: V L^(-1/2), shape (K, n): the orthonormal basis as mixtures of the centred candidates.
    """

    models: tuple[Vector, ...]
    coordinates: Array
    basis: Array

    @classmethod
    def of(cls, models: Sequence[Vector]) -> Span:
        """The span of at least one candidate; n is 0 where they coincide up to rounding."""
        gram, norm = _gram(models)
        values, vectors = np.linalg.eigh(gram)
        # Two floors: an eigenvalue can be rounding of the matrix, or of the float32 models that it was made from.
        floor = max(_RANK * float(values.max()), (ROUNDING * norm) ** 2)
        kept = np.flatnonzero(values > floor)[::-1]
        roots = np.sqrt(values[kept])
        # An eigenvector's sign is arbitrary. Here its largest entry is positive, so that the same candidates have the
        # same basis, and a secret gives the same model again.
        vectors = vectors[:, kept] * np.where(vectors[np.abs(vectors[:, kept]).argmax(axis=0), kept] < 0, -1.0, 1.0)
        return cls(tuple(models), vectors * roots, vectors / roots)

    @property
    def rank(self) -> int:
        """N, the dimension."""
        return int(self.coordinates.shape[1])

    @property
    def distance(self) -> float:
        """The largest distance between two candidates: the sensitivity of releasing one of them."""
        apart = ((self.coordinates[:, None] - self.coordinates[None]) ** 2).sum(axis=-1)  # (K, K)
        return float(np.sqrt(apart.max()))

    def at(self, point: Array) -> Vector:
        """The model at a point of the span, shape (n,): a function of the point alone, rounded once, to float32."""
        weights = self.basis @ point
        # Made to sum to 1 whatever the rounding of the basis: a mixture of the candidates, and no model beside them.
        return self._mixture(weights - weights.mean() + 1 / len(self.models))

    def project(self, vectors: Sequence[Vector]) -> Array:
        """The coordinates of the nearest points of the span to some vectors, shape (P,): shape (len(vectors), n)."""
        total = np.zeros((len(vectors), self.rank))
        for start in range(0, self.models[0].numel(), BLOCK):
            part = _block(self.models, start)  # (K, block)
            mean = part.mean(axis=0)
            total += (_block(vectors, start) - mean) @ (part - mean).T @ self.basis
        return total

    def _mixture(self, weights: Array) -> Vector:
        size = self.models[0].numel()
        mixed = torch.empty(size, dtype=torch.float32)
        for start in range(0, size, BLOCK):
            mixed[start : start + BLOCK] = torch.from_numpy(weights @ _block(self.models, start))
        return mixed


def _gram(models: Sequence[Vector]) -> tuple[Array, float]:
    """The Gram matrix of the centred candidates, and the largest candidate's norm."""
    gram, squares = np.zeros((len(models), len(models))), np.zeros(len(models))
    for start in range(0, models[0].numel(), BLOCK):
        part = _block(models, start)
        squares += (part**2).sum(axis=1)
        part = part - part.mean(axis=0)
        gram += part @ part.T
    return gram, float(np.sqrt(squares.max()))


def _block(models: Sequence[Vector], start: int) -> Array:
    return np.stack([model[start : start + BLOCK].numpy().astype(np.float64) for model in models])
