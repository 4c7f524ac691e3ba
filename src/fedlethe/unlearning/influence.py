# SPDX-License-Identifier: MIT
"""Subtract the forgotten clients' influence: w' = w_R - scale x clip_C(I_u), with I_u = sum over t of p_u,t delta_u,t.

Since w_R = w_0 + sum over k of I_k exactly, scale 1 without a clip takes out everything that the clients' updates put
into the model. What remains of them is indirect: the other clients' updates were taken from models that held theirs.

Departs from the published scripts, which sum deltas unweighted and so overshoot by 1 / p_u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History
from fedlethe.privacy.mask import clip_factor
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Influence:
    """Subtract the summed, clipped influence.

    Attributes:
        scale: How much of it; 1 is all.
        clip: L2 norm that it is clipped to before it is scaled; infinity clips nothing.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.INFLUENCE})

    scale: float = 1.0
    clip: float = math.inf

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
        model = torch.sub(final, influence, alpha=self.scale * clip_factor(influence, self.clip))
        return Unlearned(model=history.layout.floor_variances(model, final))
