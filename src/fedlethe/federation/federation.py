# SPDX-License-Identifier: MIT
"""The seam between the simulated federation, a live one, and the tests' fake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.objective import Objective
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout


class Federation(Protocol):
    """Clients that can be asked to train.

    Whoever holds one can reach the data of `clients` and of nobody else.
    """

    @property
    def layout(self) -> Layout:
        """The layout of the model."""
        ...

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who can be asked, sorted."""
        ...

    @property
    def settings(self) -> LocalTraining:
        """How the clients train unless a call says otherwise."""
        ...

    @property
    def aggregator(self) -> Aggregator:
        """How a round's global model is made of the clients' models."""
        ...

    def train(
        self,
        model: Vector,
        clients: Sequence[ClientId],
        *,
        round: int,
        settings: LocalTraining | None = None,
        objective: Objective = CROSS_ENTROPY,
    ) -> Iterator[Update]:
        """Send the model to these clients and yield their updates as they come.

        Args:
            model: The global model, shape (P,).
            clients: Who trains; each must be one of `clients`.
            round: Names the random draws: the same round and client shuffle alike, whoever else takes part.
            settings: How they train; None for the federation's own settings.
            objective: What their steps descend.
        """
        ...

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """Train at the server, on the unlabelled images that no client owns (see `train`).

        Raises:
            FedletheError: There are no public images.
        """
        ...

    def without(self, forget: Iterable[ClientId]) -> Federation:
        """The same federation, these clients gone.

        Raises:
            FedletheError: A client is not there, or none would be left.
        """
        ...
