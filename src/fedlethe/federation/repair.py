# SPDX-License-Identifier: MIT
"""Rounds by the retained clients that follow an unlearning step, and bring the accuracy back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from fedlethe.federation.client import LocalTraining

_UNSET = ("batch_size", "clients")
"""Fields of a repair that are not written down where they are None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """Rounds by the retained clients after the unlearning step.

    Attributes:
        rounds: How many; 0 for none.
        epochs: Local epochs in each; None for `ratio` of the run's own.
        ratio: Share of the run's local epochs.
        learning_rate: None for the run's own.
        batch_size: Images in one gradient step, None for the run's own; fewer make more steps of the same images.
        clients: How many of the retained clients take part, drawn by the erasure's secret; None for all of them. Those
            who take part show that they are not gone: with a mask, the others hide each other.
    """

    rounds: int = 1
    epochs: float | None = None
    ratio: float = 1.0
    learning_rate: float | None = None
    batch_size: int | None = None
    clients: int | None = None

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ValueError(f"repair rounds must be at least 0, not {self.rounds}")
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio must be a finite number above 0, not {self.ratio}")
        if self.clients is not None and self.clients < 1:
            raise ValueError(f"at least 1 client must repair, not {self.clients}; for no repair give 0 rounds")
        if self.clients is not None and not self.rounds:
            raise ValueError("says how many clients repair, but there is no repair round")
        # Built once for its checks: a wrong value is refused now, and not when the unlearning step is done.
        self.settings(LocalTraining())

    def canonical(self) -> dict[str, Any]:
        """Plain values that are the same for the same repair."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None or name not in _UNSET}

    def settings(self, local: LocalTraining) -> LocalTraining:
        """How clients train in these rounds, given how the run's do."""
        return dataclasses.replace(
            local,
            epochs=self.ratio * local.epochs if self.epochs is None else self.epochs,
            learning_rate=local.learning_rate if self.learning_rate is None else self.learning_rate,
            batch_size=local.batch_size if self.batch_size is None else self.batch_size,
        )
