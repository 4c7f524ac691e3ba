# SPDX-License-Identifier: MIT
"""Subtract the influence, then win the accuracy back by distilling the trained model on public data.

Wu, Zhu, Mitra, 'Federated Unlearning with Knowledge Distillation', 2022 (arXiv 2201.09441): the forgotten client's
deltas are subtracted, weighted as they entered the mean, and the server distils from the old global model on unlabelled
data at a temperature. No client takes part.

What to know: the teacher still holds the forgotten client, and teaches what it knows of it. Departs: the weights are
those that the deltas had in their rounds, by numbers of images; the paper's clients all weigh 1 / N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Distillation
from fedlethe.history.history import History
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Kd:
    """Subtract and distil.

    Attributes:
        temperature: Softens the teacher's and the student's answers alike.
        epochs: Passes over the public images.
    """

    paper: ClassVar[str] = "Wu, Zhu, Mitra, 2022, arXiv 2201.09441"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INFLUENCE, Need.PUBLIC_DATA})

    temperature: float = 3.0
    epochs: float = 5.0

    def __post_init__(self) -> None:
        for name in ("temperature", "epochs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        final = history.final()
        student = final.clone()
        for client in sorted(forget):
            student -= history.influence(client)
        # The subtraction can take a running variance below 0, and the moving average of the steps keeps a part of it.
        student = history.layout.floor_variances(student, final)
        objective = Distillation(final, self.temperature)
        settings = replace(federation.settings, epochs=self.epochs)
        update = federation.train_on_public(student, round=history.rounds + 1, objective=objective, settings=settings)
        return Unlearned(model=update.model)
