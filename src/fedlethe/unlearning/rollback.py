# SPDX-License-Identifier: MIT
"""Back to the last global model before a forgotten client first took part, then its rounds again without them.

Exact, and as cheap as the forgotten clients were late: the rounds after that have the participants that they had,
less the forgotten ones, and each client shuffles as it did, so this is `retrain`, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.aggregate import add_contributions
from fedlethe.federation.federation import Federation
from fedlethe.federation.train import train
from fedlethe.history.history import History, retained_schedule
from fedlethe.types import CLEAN_ROUND, ClientId, Guarantee, Need, RetrainsFrom, Vector
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollback:
    """Take the rounds that the forgotten clients touched back, and train them again."""

    paper: ClassVar[str] = "retraining from the last clean round: exact"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GLOBALS, Need.RETAINED_DATA})
    retrains_from: ClassVar[RetrainsFrom] = CLEAN_ROUND

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        rounds = range(1, history.rounds + 1)
        entered = next((round for round in rounds if forget & set(history.weights(round))), history.rounds + 1)
        first = min(entered, history.clean_rounds + 1)
        model, influences = history.global_model(first - 1), dict[ClientId, Vector]()
        for record in train(federation, model, retained_schedule(history, forget, after=first - 1)):
            model = record.after
            add_contributions(influences, record, federation.aggregator.is_mean)
        statement = f"trained on the retained clients alone after round {first - 1}, the last before theirs"
        # From a later round on the sums are not all that is in the model, and an erasure by them would be wrong.
        anew = influences if first == 1 else {}
        return Unlearned(model=model.clone(), guarantee=Guarantee("exact", statement), influences=anew)
