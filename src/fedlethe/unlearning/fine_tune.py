# SPDX-License-Identifier: MIT
"""Rounds of federated averaging by the retained clients from w_R: the naive floor.

It is what 'the model will forget with time' amounts to, and it hardly forgets: every other method has to do better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.federation.train import train
from fedlethe.history.history import History
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTune:
    """Go on training without the forgotten clients.

    Attributes:
        rounds: How many rounds, each with all retained clients.
    """

    paper: ClassVar[str] = "the naive floor"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RETAINED_DATA})

    rounds: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {self.rounds}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model = history.final()
        # On from the training's numbers: under the same number each client would shuffle as it did before.
        first = history.rounds + 1
        schedule = ((round, federation.clients) for round in range(first, first + self.rounds))
        for record in train(federation, model, schedule):
            model = record.after
        return Unlearned(model=model.clone())
