# SPDX-License-Identifier: MIT
"""The in-process Federation: the clients train one after the other in one network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from fedlethe.data.federated import FederatedData, unknown_client
from fedlethe.errors import FedletheError
from fedlethe.federation.client import LocalTraining, train_locally
from fedlethe.federation.execution import Execution
from fedlethe.seeding import torch_generator
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout


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
    """

    network: nn.Module
    layout: Layout
    data: FederatedData
    settings: LocalTraining
    execution: Execution
    seed: int

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who can be asked, sorted."""
        return tuple(sorted(self.data.clients))

    def train(
        self, model: Vector, clients: Sequence[ClientId], *, round: int, settings: LocalTraining | None = None
    ) -> Iterator[Update]:
        """See `Federation.train`."""
        for client in clients:
            if client not in self.data.clients:
                raise FedletheError(unknown_client(client, self.clients))
            yield train_locally(
                self.network,
                self.layout,
                model,
                client=client,
                examples=self.data.clients[client].train,
                settings=settings or self.settings,
                execution=self.execution,
                generator=torch_generator(self.seed, "local training", round, client),
            )

    def without(self, forget: Iterable[ClientId]) -> SimulatedFederation:
        """See `Federation.without`."""
        return replace(self, data=self.data.without(forget))
