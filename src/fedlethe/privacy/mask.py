# SPDX-License-Identifier: MIT
"""Clipping, and the masks: calibrated noise that hides which client was erased."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

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
    length = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    return min(1.0, norm / length) if length > 0 else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class IsotropicMask:
    """Independent Gaussian noise on every weight: r(u) + N(0, sigma^2).

    Formal guarantees:
        None is claimed of a sigma alone: what it hides depends on how far apart the candidates r(1), ..., r(K) lie.
        Its norm is about sigma x sqrt(P), so on a deep network it ruins accuracy long before it hides anyone.

    Attributes:
        sigma: Standard deviation of the noise on each weight; 0 adds none.
    """

    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ValueError(f"sigma must be a finite number of at least 0, not {self.sigma}")

    def apply(self, vector: Vector, generator: torch.Generator) -> Vector:
        """The vector with the noise added, shape (P,); a running variance may then need its floor."""
        if self.sigma == 0:
            return vector.clone()
        return vector + self.sigma * torch.randn(vector.shape, generator=generator)
