# SPDX-License-Identifier: MIT
"""Climb the forgotten clients' loss within a ball round a model that they did not enter last.

Halimi, Kadhe, Rawat, Baracaldo, 'Federated Unlearning: How to Efficiently Erase a Client in FL?', 2022 (arXiv
2207.05521), Algorithm 1: w_ref = (w_R - p_u w_u) / (1 - p_u), the mean of the other clients' models; projected
gradient ascent on u's data from w_ref, gradients clipped, in the ball of `radius` round w_ref, stopped early; repair
rounds follow (`erase` does them).

Departs: the radius is a third of the distance from w_ref to the initial model, where the paper averages ten random
ones; it stops when the mean loss on u's images reaches that of guessing, where the paper watches u's validation
accuracy. Several clients climb one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.errors import HistoryError
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Ascent, Ball
from fedlethe.history.history import History, last_weight
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, Vector
from fedlethe.unlearning.method import Unlearned


@dataclass(frozen=True, kw_only=True, slots=True)
class Pga:
    """Projected gradient ascent.

    Attributes:
        learning_rate: Of the ascent.
        clip: L2 norm that each step's gradient is clipped to.
        epochs: The most passes over the forgotten client's images.
        stop_loss: Mean loss (nats) at which it stops; log 2 is that of guessing between two classes.
        radius: Of the ball; None for a third of the distance from w_ref to the initial model.
    """

    paper: ClassVar[str] = "Halimi et al., 2022, arXiv 2207.05521"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.DELTAS, Need.GLOBALS, Need.FORGOTTEN_DATA})

    learning_rate: float = 0.01
    clip: float = 5.0
    epochs: int = 5
    stop_loss: float = math.log(2)
    radius: float | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip", "epochs", "stop_loss"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.radius is not None and not self.radius > 0:
            raise ValueError(f"radius must be above 0, not {self.radius}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model = reference(history, forget)
        radius = self.radius
        if radius is None:
            radius = float(torch.linalg.vector_norm(model - history.initial(), dtype=torch.float64)) / 3
        objective = Ascent(Ball(model.clone(), radius))
        settings = replace(
            federation.settings, epochs=CHUNK, optimizer="sgd", learning_rate=self.learning_rate, clip=self.clip
        )
        for client in sorted(forget):
            for part in range(round(self.epochs / CHUNK)):
                # A number for each part: with one number for all each would go over the same images.
                number = history.rounds + 1 + part
                (update,) = federation.train(model, (client,), round=number, settings=settings, objective=objective)
                model = update.model
                # The objective is log p_y: its mean is the cross-entropy with the sign turned.
                if -update.loss >= self.stop_loss:
                    break
        return Unlearned(model=model)


CHUNK = 0.2
"""Of an epoch: how often the loss is looked at."""


def reference(history: History, forget: frozenset[ClientId]) -> Vector:
    """w_ref = (w_R - sum of p_u w_u) / (1 - sum of p_u), each u's from the last round that it entered, shape (P,)."""
    model, share = history.final().clone(), 0.0
    for client in sorted(forget):
        last, weight = last_weight(history, client)
        # A client's own model, put together again: what is kept of it is its delta alone.
        model.sub_(history.global_model(last - 1) + history.delta(last, client), alpha=weight)
        share += weight
    if share >= 1:
        raise HistoryError(f"{', '.join(sorted(forget))}: made up the whole of their last round; pga has no reference")
    return model.div_(1 - share)
