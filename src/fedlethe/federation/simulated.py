# SPDX-License-Identifier: MIT
"""The in-process Federation: the clients train one after the other in one network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fedlethe.data.federated import Examples, FederatedData, unknown_client
from fedlethe.errors import DataError
from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining, train_locally
from fedlethe.federation.execution import Execution
from fedlethe.federation.objective import Objective
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.later import nn
from fedlethe.seeding import torch_generator
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout

PUBLIC = "(public)"
"""Stands for the server's own training where a client would be named; no client can have this name."""


@dataclass(frozen=True, kw_only=True)
class SimulatedFederation:
    """A Federation whose clients' data lie on this machine.

    Attributes:
        network: Trained in place; already on the device (see `Execution.place`).
        layout: The network's layout.
        data: Every client's images.
        settings: How clients train unless a call says otherwise.
        execution: Device and precision, resolved.
        seed: The run's seed, from which every shuffle is derived.
        loss: What clients descend where a call asks for nothing else.
        aggregator: See `Federation.aggregator`.
    """

    network: nn.Module
    layout: Layout
    data: FederatedData
    settings: LocalTraining
    execution: Execution
    seed: int
    loss: Objective = CROSS_ENTROPY
    aggregator: Aggregator = WEIGHTED_MEAN

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who can be asked, sorted."""
        return tuple(sorted(self.data.clients))

    def train(
        self,
        model: Vector,
        clients: Sequence[ClientId],
        *,
        round: int,
        settings: LocalTraining | None = None,
        objective: Objective = CROSS_ENTROPY,
    ) -> Iterator[Update]:
        """See `Federation.train`."""
        for client in clients:
            if client not in self.data.clients:
                raise DataError(unknown_client(client, self.clients))
            yield self._update(model, client, self.data.clients[client].train, round, settings, objective)

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        if self.data.public is None:
            raise DataError("there are no public images; train with 'public_fraction' = 0.1 in [partition]")
        return self._update(model, PUBLIC, self.data.public, round, settings, objective)

    def _update(
        self,
        model: Vector,
        client: ClientId,
        examples: Examples,
        round: int,
        settings: LocalTraining | None,
        objective: Objective,
    ) -> Update:
        return train_locally(
            self.network,
            self.layout,
            model,
            client=client,
            examples=examples,
            settings=settings or self.settings,
            execution=self.execution,
            # One for each round and client: who else takes part changes no shuffle, so a retraining is comparable.
            generator=torch_generator(self.seed, "local training", round, client),
            # The default stands for the run's own loss; what a method asks for is taken as it is.
            objective=self.loss if objective is CROSS_ENTROPY else objective,
        )

    def without(self, forget: Iterable[ClientId]) -> SimulatedFederation:
        """See `Federation.without`."""
        return replace(self, data=self.data.without(forget))
