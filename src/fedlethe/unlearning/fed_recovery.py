# SPDX-License-Identifier: MIT
"""Subtract the forgotten clients' gradient residuals, each weighted by its round, and add Gaussian noise.

Zhang, Zhu, Zhang, Xiong, Zhou, 'FedRecovery: Differentially Private Machine Unlearning for Federated Learning
Frameworks', IEEE TIFS 2023: w' = w_R - sum over t of a_t g_u,t + N(0, sigma^2), where the residual g_u,t is what the
forgotten clients' presence changed in round t, the aggregate with them less the aggregate without them, and a_t is
that round's share of the squared norms of the aggregates.

Departs: the shares are multiplied by the number of rounds, so that rounds of equal norm are subtracted once each;
with shares that sum to 1 next to nothing is subtracted from a training of 15 rounds. The paper's noise rests on a
smoothness that no deep network is known to have. Here its sensitivity is the norm of what is subtracted, and sigma is
the least that hides that to (epsilon, delta) (Balle & Wang, ICML 2018, Theorem 8; the classical
sqrt(2 log(1.25 / delta)) / epsilon holds up to epsilon 1 only). It is off unless epsilon is given, and no guarantee is
claimed of it. It follows from `seed`, which stands in the record: whoever reads that can draw it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, residual
from fedlethe.later import torch
from fedlethe.privacy.accounting import gaussian_sigma
from fedlethe.seeding import torch_generator
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class FedRecovery:
    """Weighted gradient residuals.

    Attributes:
        epsilon: Of the noise; infinity adds none.
        delta: Of the noise.
        seed: Draws the noise.
    """

    paper: ClassVar[str] = "Zhang et al., IEEE TIFS 2023"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DELTAS, Need.GLOBALS})

    epsilon: float = math.inf
    delta: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be above 0 (inf adds no noise), not {self.epsilon}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be between 0 and 1, not {self.delta}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`; no client takes part."""
        rounds = range(1, history.rounds + 1)
        squares = []
        for round in rounds:
            step = history.global_model(round) - history.global_model(round - 1)
            squares.append(float(step.double().square().sum()))
        total = sum(squares)
        removed = torch.zeros(history.layout.size)
        for round, square in zip(rounds, squares, strict=True):
            # A training that never moved the model has no shares, and nothing to take out.
            if total > 0:
                removed.add_(residual(history, round, forget), alpha=history.rounds * square / total)
        # The noise is to hide whether this was taken out at all: so far apart are the two models.
        norm = float(torch.linalg.vector_norm(removed, dtype=torch.float64))
        sigma = norm * gaussian_sigma(self.epsilon, self.delta) if self.epsilon < math.inf else 0.0
        model = history.final() - removed
        if sigma > 0:
            model += sigma * torch.randn(model.shape, generator=torch_generator(self.seed, "fed_recovery"))
        return Unlearned(model=model)
