# SPDX-License-Identifier: MIT
"""Back to the last round before the forgotten clients weighed too much, noise over what is left, and on from there.

Fraboni, Van Waerebeke, Scaman, Vidal, Kameni, Lorenzi, 'SIFU: Sequential Informed Federated Unlearning for Efficient
and Provable Client Unlearning in Federated Optimization', AISTATS 2024: the sensitivity Psi_u(t) = sum over s <= t of
||step of round s with u - step of round s without u|| is bounded by Psi*, the largest sensitivity that N(0, sigma^2)
hides to (epsilon, delta); the last round within the bound is taken, the noise is added to every weight, and training
goes on without u.

Departs: the paper has Psi* = epsilon sigma / sqrt(2 log(1.25 / delta)), which holds up to epsilon 1 only; at the
defaults, epsilon 10 and delta 0.01, it gives a delta of 0.041. Psi* is taken from the necessary and sufficient
condition of Balle & Wang (ICML 2018, Theorem 8), at every epsilon.

The paper's theorem makes this (epsilon, delta)-unlearning where local training does not stretch distances (convex
losses); for a deep network the sensitivity would have to be multiplied by a factor that is not known, so no guarantee
is claimed, unless the round that is gone back to is one that u did not touch: that one needs no noise, and the result
is a retraining. The noise follows from `seed`, which stands in the record: whoever reads that can draw it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.federation.train import train
from fedlethe.history.history import History, residual, retained_schedule
from fedlethe.later import torch
from fedlethe.privacy.accounting import gaussian_sigma
from fedlethe.seeding import torch_generator
from fedlethe.types import ClientId, Guarantee, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Sifu:
    """Informed rollback with noise.

    Attributes:
        epsilon: Of the bound.
        delta: Of the bound.
        sigma: Standard deviation of the noise on each weight.
        seed: Draws the noise.
    """

    paper: ClassVar[str] = "Fraboni et al., AISTATS 2024"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DELTAS, Need.GLOBALS, Need.RETAINED_DATA})

    epsilon: float = 10.0
    delta: float = 0.01
    sigma: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epsilon", "sigma"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a finite number above 0, not {getattr(self, name)}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be between 0 and 1, not {self.delta}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        # `gaussian_sigma` is the noise for a sensitivity of 1, so this is the sensitivity that sigma hides.
        bound = self.sigma / gaussian_sigma(self.epsilon, self.delta)
        sensitivity, back_to = 0.0, history.rounds
        for round in range(1, history.rounds + 1):
            change = float(torch.linalg.vector_norm(residual(history, round, forget), dtype=torch.float64))
            if sensitivity + change > bound or round > history.clean_rounds:
                back_to = round - 1
                break
            sensitivity += change
        model, back = history.global_model(back_to), {"back_to_round": float(back_to)}
        guarantee = Guarantee("exact", f"trained on the retained clients alone after round {back_to}")
        if sensitivity > 0:
            generator = torch_generator(self.seed, "sifu", back_to)
            noisy = model + self.sigma * torch.randn(model.shape, generator=generator)
            # Before the training goes on: batch norm has no value for a variance that noise took below 0.
            model = history.layout.floor_variances(noisy, model)
        for record in train(federation, model, retained_schedule(history, forget, after=back_to)):
            model = record.after
        return Unlearned(model=model.clone(), guarantee=None if sensitivity > 0 else guarantee, found=back)
