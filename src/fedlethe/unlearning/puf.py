# SPDX-License-Identifier: MIT
"""One more round by the forgotten clients, taken backwards: w' = w_R - eta p_u delta_u.

Mora, Mazzocca, Montanari, Bellavista, 'Federated Unlearning Made Practical: Seamless Integration via Negated
Pseudo-Gradients', 2025 (arXiv 2504.05822): u trains locally from w_R, and the server takes its pseudo-gradient with
the sign turned, scaled by eta. This is the 'special' form, in which nobody else takes part; the repair round that
`erase` adds is the 'regular' one, but that the retained clients start it from w' where they start from w_R there.

Departs: the paper tunes eta for each data set; the default here was chosen on PneumoniaMNIST's seeds 0 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, last_weight
from fedlethe.types import ClientId, Need
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Puf:
    """Negated pseudo-gradients.

    Attributes:
        eta: How far back the forgotten clients' step is taken; 1 is once.
        epochs: Local epochs in that round.
    """

    paper: ClassVar[str] = "Mora et al., 2025, arXiv 2504.05822"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FORGOTTEN_DATA})

    eta: float = 10.0
    epochs: float = 1.0

    def __post_init__(self) -> None:
        for name in ("eta", "epochs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        final = history.final()
        settings = replace(federation.settings, epochs=self.epochs)
        model = final.clone()
        for update in federation.train(final, tuple(sorted(forget)), round=history.rounds + 1, settings=settings):
            # Of its last round of training: in the round that is taken backwards there are no shares.
            _, weight = last_weight(history, update.client)
            model.sub_(update.model - final, alpha=self.eta * weight)
        return Unlearned(model=model)
