# SPDX-License-Identifier: MIT
"""Add up the retained clients' deltas again: w' = w_0 + sum over t of (sum over Ret of p'_k,t delta_k,t).

p'_k,t = p_k,t over the sum of the retained p. The baseline of Liu et al., 'FedEraser', IWQoS 2021 (their Section V,
'FedAccum'). The deltas were taken from models that held the forgotten clients; nothing corrects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, retained_weights
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class FedAccum:
    """Sum the retained clients' stored deltas, re-weighted in every round."""

    paper: ClassVar[str] = "the baseline of Liu et al., FedEraser, IWQoS 2021"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.DELTAS})

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`; no client takes part."""
        model = history.initial().clone()
        # A round that nobody else entered has no weights, and adds nothing.
        for round in range(1, history.rounds + 1):
            for client, weight in retained_weights(history, round, forget).items():
                model.add_(history.delta(round, client), alpha=weight)
        return Unlearned(model=model)
