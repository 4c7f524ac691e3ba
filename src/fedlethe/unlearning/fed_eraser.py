# SPDX-License-Identifier: MIT
"""Replay the kept rounds with short trainings for the direction and the stored deltas for the length.

Liu, Ma, Yang, Wang, Liu, 'FedEraser: Enabling Efficient Client-Level Data Removal from Federated Learning Models',
IWQoS 2021, Algorithm 1: the first round adds up the stored deltas; in every later kept round each retained client
trains ceil(r E) epochs from w', giving d_k, and w' += sum over Ret of p'_k ||delta_k,t|| d_k / ||d_k||.

Departs from the authors' published code, which takes the norms of the mean over clients, and measures the old ones
from the aggregate after the round, so that its steps are several times too short. Running statistics of batch norm,
which have no gradient to calibrate, move as the retained clients' do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from fedlethe.federation.federation import Federation
from fedlethe.history.history import History, retained_weights
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, Vector
from fedlethe.unlearning.method import Unlearned
from fedlethe.vector import Layout, is_statistic


@dataclass(frozen=True, kw_only=True, slots=True)
class FedEraser:
    """Calibrated replay.

    Attributes:
        interval: Every how many rounds one is replayed (the paper's delta t).
        ratio: Share of the local epochs that a calibration trains, in (0, 1] (the paper's r).
        per_layer: Take the length of each tensor for itself, not of the whole delta.
    """

    paper: ClassVar[str] = "Liu et al., IWQoS 2021"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INITIAL, Need.FIRST_DELTAS, Need.NORMS, Need.RETAINED_DATA})

    interval: int = 2
    ratio: float = 0.5
    per_layer: bool = False

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"interval must be at least 1, not {self.interval}")
        if not 0 < self.ratio <= 1:
            raise ValueError(f"ratio must be in (0, 1], not {self.ratio}")

    def unlearn(self, forget: frozenset[ClientId], history: History, federation: Federation) -> Unlearned:
        """See `UnlearningMethod.unlearn`."""
        model = history.initial().clone()
        # Round 1 began from w_0, which holds nobody: its deltas are what a retraining would give.
        for client, weight in retained_weights(history, 1, forget).items():
            model.add_(history.delta(1, client), alpha=weight)
        epochs = federation.settings.epochs
        # Whole epochs, as in the paper; but not more than the run's own, which may be less than one.
        settings = replace(federation.settings, epochs=min(epochs, math.ceil(self.ratio * epochs)))
        for round in range(1 + self.interval, history.rounds + 1, self.interval):
            weights = retained_weights(history, round, forget)
            step = torch.zeros_like(model)
            for update in federation.train(model, tuple(weights), round=round, settings=settings):
                delta = self._calibrated(update.model - model, history.norms(round, update.client), history.layout)
                step.add_(delta, alpha=weights[update.client])
            model += step
        return Unlearned(model=model)

    def _calibrated(self, delta: Vector, norms: Mapping[str, float], layout: Layout) -> Vector:
        """The new delta, shape (P,), at the old one's length; a tensor that did not move then or now is left out."""
        fresh = layout.norms(delta)
        # Running statistics are averages and no steps: there is no length to bring them to.
        moved = [name for name in fresh if not is_statistic(name)]
        old, new = (math.sqrt(sum(held[name] ** 2 for name in moved)) for held in (norms, fresh))
        for name, tensor in layout.tensors(delta).items():
            if name in moved:
                tensor.mul_(_ratio(norms[name], fresh[name]) if self.per_layer else _ratio(old, new))
        return delta


def _ratio(old: float, new: float) -> float:
    # What does not move now shows no direction in which the old length could be gone.
    return old / new if new > 0 else 0.0
