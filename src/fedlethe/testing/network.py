# SPDX-License-Identifier: MIT
"""A small real federation on which published unlearning code breaks.

The network has batch norm (running statistics and an integer counter) and a layer that no image reaches (its deltas
have norm 0); of the clients one joins late, nobody is there all the time, and one never comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import nn

from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.errors import ConfigError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.federation.train import train
from fedlethe.history.history import InMemoryHistory
from fedlethe.types import EVERYTHING, ClientId, Need
from fedlethe.vector import Layout, to_vector

CLIENTS = ("a", "b", "c", "d", "e")

SCHEDULES: dict[str, tuple[tuple[int, tuple[ClientId, ...]], ...]] = {
    "even": tuple((round, CLIENTS) for round in range(1, 7)),
    "uneven": (
        (1, ("a", "b", "c")),
        (2, ("a", "c")),
        (3, ("a", "b", "c", "d")),
        (4, ("b", "d")),
        (5, ("a", "b", "c", "d")),
        (6, ("a", "b", "c", "d")),
    ),
}
"""Who takes part in each round: in 'uneven' d joins in round 3, nobody is always there, and e never comes."""


class BatchNormNet(nn.Module):
    """Batch norm, and a layer that no image reaches: images (n, 1, H, W) to logits (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4, 2)
        # Nothing moves it in training: what a method puts here is of its own making.
        self.unused = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, 1, H, W) to logits (n, 2)."""
        answer: torch.Tensor = self.last(self.norm(self.first(images)).relu().mean((2, 3)))
        return answer


class Closed(Examples):
    """Examples that may not be opened."""

    def batch(self, positions: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Refused.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("opens the images of a client that it did not declare")


def images() -> FederatedData:
    """Images of all clients, and public ones."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 140)
    # The classes differ in brightness, so that a few rounds learn something that can be unlearned.
    brighter = (labels * 100).astype(np.uint8)[:, None, None, None]
    pixels = generator.integers(0, 120, (140, 1, 8, 8), dtype=np.uint8) + brighter
    clients = {}
    for index, (client, count) in enumerate(zip(CLIENTS, (20, 12, 16, 24, 8), strict=True)):
        rows = np.arange(24 * index, 24 * index + count)
        # The same images for all splits: none of the checks asks how well the network generalises.
        clients[client] = ClientData(*(Examples(pixels, rows, labels[rows]),) * 3)
    public = Examples(pixels, np.arange(120, 140), np.full(20, -1))
    return FederatedData(
        clients=clients, classes=("0", "1"), image_shape=(1, 8, 8), source_fingerprint="", public=public
    )


def closed(data: FederatedData, clients: Iterable[ClientId]) -> FederatedData:
    """The same data, of which these clients' images may not be opened."""
    guarded = {}
    for client in clients:
        train = data.clients[client].train
        guarded[client] = ClientData(*(Closed(train.images, train.indices, train.labels),) * 3)
    return replace(data, clients={**data.clients, **guarded})


def federation(data: FederatedData) -> SimulatedFederation:
    """The clients and their network; its initial weights are the same in each call."""
    # The tests of whoever runs a check draw by the same generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = BatchNormNet()
    return SimulatedFederation(
        network=network,
        layout=Layout.of(network),
        data=data,
        settings=LocalTraining(epochs=2, batch_size=8, learning_rate=0.1),
        execution=Execution(device="cpu", precision="float32"),
        seed=0,
    )


def trained(schedule: Iterable[tuple[int, Sequence[ClientId]]], keep: frozenset[Need] = EVERYTHING) -> InMemoryHistory:
    """The history of federated averaging over a schedule."""
    clients = federation(images())
    initial = to_vector(clients.network, clients.layout)
    history = InMemoryHistory(initial, clients.layout, CLIENTS, keep)
    for record in train(clients, initial, schedule):
        history.append(record)
    return history


@cache
def kept_history(name: str) -> InMemoryHistory:
    """The history of one of SCHEDULES, everything kept; trained once, so nobody may write to it."""
    return trained(SCHEDULES[name])
