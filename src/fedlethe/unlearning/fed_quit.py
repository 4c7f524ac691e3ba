# SPDX-License-Identifier: MIT
"""The forgotten clients teach the model not to know their labels, in one local training.

Mora, Valerio, Bellavista, Passarella, 'FedQUIT: On-Device Federated Unlearning via a Quasi-Competent Virtual
Teacher', 2024 (arXiv 2408.07587): u distils w_R into itself on its own images, with the teacher's logit of the true
class lowered to the least of the others'; the server takes u's model as the new global one. Repair rounds follow
(`erase` does them). Several clients do so one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import LoweredLogit
from fedlethe.history.history import History
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class FedQuit:
    """Distil from a teacher that does not know the true class.

    Attributes:
        epochs: Passes over the forgotten client's images.
    """

    paper: ClassVar[str] = "Mora et al., 2024, arXiv 2408.07587"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FORGOTTEN_DATA})

    epochs: float = 1.0

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ValueError(f"epochs must be above 0, not {self.epochs}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model = history.final().clone()
        # The trained model teaches all of them, not the one that the first of them has changed already.
        objective = LoweredLogit(history.final())
        settings = replace(federation.settings, epochs=self.epochs)
        for client in sorted(forget):
            round = history.rounds + 1
            (update,) = federation.train(model, (client,), round=round, settings=settings, objective=objective)
            model = update.model
        return Unlearned(model=model)
