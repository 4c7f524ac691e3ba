# SPDX-License-Identifier: MIT
"""Federated averaging from w_0 over all rounds without the forgotten clients: the reference for every claim.

McMahan et al., 2017, Algorithm 1, on the retained clients. Each round has the participants that it had, less the
forgotten ones, and each client shuffles as it did: where the forgotten clients took part in no round, this is the
trained model, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.aggregate import add_contributions
from fedlethe.federation.federation import Federation
from fedlethe.federation.train import train
from fedlethe.history.history import History, retained_schedule
from fedlethe.types import START, ClientId, Guarantee, Need, RetrainsFrom, Vector
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrain:
    """Train again from the same start, without the forgotten clients."""

    paper: ClassVar[str] = "McMahan et al., AISTATS 2017: the reference"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.RETAINED_DATA})
    retrains_from: ClassVar[RetrainsFrom] = START

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model, influences = history.initial(), dict[ClientId, Vector]()
        for record in train(federation, model, retained_schedule(history, forget)):
            model = record.after
            # Summed on the way: nothing else of these rounds is kept, and the next erasure needs it.
            add_contributions(influences, record, federation.aggregator.is_mean)
        return Unlearned(
            model=model.clone(),
            guarantee=Guarantee("exact", "trained from the initial model on the retained clients alone"),
            influences=influences,
        )
