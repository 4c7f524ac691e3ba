# SPDX-License-Identifier: MIT
"""Subtract the forgotten clients' influence: w' = w_R - scale x clip_C(I_u), with I_u = sum over t of p_u,t delta_u,t.

Since w_R = w_0 + sum over k of I_k (to rounding), scale 1 without a clip takes out everything that the clients'
updates put into the model. What remains of them is indirect: the other clients' updates were taken from models that
held theirs.

Departs from the published scripts, which sum deltas unweighted and so overshoot by 1 / p_u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fedlethe.errors import HistoryError
from fedlethe.federation.federation import Federation
from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.privacy.mask import clip_factor
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Influence:
    """Subtract the summed, clipped influence.

    Attributes:
        scale: How much of it; 1 is all.
        clip: L2 norm that it is clipped to before it is scaled; infinity clips nothing.
        renormalise: Stretch what is left of w_R - w_0 by 1 / (1 - scale x p_u), so that the retained clients weigh
            1 together; with scale 1 and no clip this is `fed_accum`. Needs the same p_u in every round.
    """

    paper: ClassVar[str] = "fedlethe; as published scripts do, but weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.INFLUENCE})

    scale: float = 1.0
    clip: float = math.inf
    renormalise: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ValueError(f"scale must be a finite number of at least 0, not {self.scale}")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0 (inf clips nothing), not {self.clip}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`; no client takes part."""
        final = history.final()
        first, *others = sorted(forget)
        influence = history.influence(first)
        for client in others:
            influence = influence + history.influence(client)
        # Clients who leave together are clipped as one vector: the bound is on how far the model moves.
        factor = self.scale * clip_factor(influence, self.clip)
        # In one pass, so that no scaled copy of a large influence is made.
        model = torch.sub(final, influence, alpha=factor)
        if self.renormalise:
            left = 1 - factor * self._share(forget, history)
            initial = history.initial()
            model = initial + (model - initial) / left
        return Unlearned(model=model)

    @staticmethod
    def _share(forget: frozenset[ClientId], history: History) -> float:
        """p_u, summed over the forgotten clients.

        Raises:
            FedletheError: It differs from round to round, or is everything.
        """
        shares = [
            sum(weight for client, weight in history.weights(round).items() if client in forget)
            for round in range(1, history.rounds + 1)
        ]
        # Shares are quotients of whole numbers: where the same clients took part they differ by rounding at most.
        if max(shares) - min(shares) > 1e-9 or shares[0] >= 1:
            raise HistoryError(
                "influence: renormalise needs all clients in all rounds; use fed_accum, which weighs each round anew"
            )
        return shares[0]
