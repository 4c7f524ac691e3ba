# SPDX-License-Identifier: MIT
"""A run, prepared or opened: configuration, data, network, federation and run folder, checked against each other."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fedlethe.config import RunConfig
from fedlethe.data.federated import Examples, FederatedData, Split
from fedlethe.errors import HistoryError
from fedlethe.federation.client import CROSS_ENTROPY
from fedlethe.federation.evaluation import evaluate
from fedlethe.federation.execution import Execution
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import GivenLoss, Objective
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.history.disk import RunFolder
from fedlethe.history.succession import Part, Succession
from fedlethe.later import nn
from fedlethe.models.given import GivenModel
from fedlethe.runs.past import Lineage
from fedlethe.runs.remote import Remote
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a configuration stands for on this machine, `config.execution` resolved.

    Attributes:
        config: The configuration.
        fingerprint: Of the images as the source has them, and of who holds which.
        images: Every client's images.
        data: What the network takes: the images, or the features of them.
        network: The network.
        layout: Its layout.
        remote: Reaches the clients where they are on other machines; `data` then names them and holds no image.
    """

    config: RunConfig
    fingerprint: str = ""
    images: FederatedData
    data: FederatedData
    network: nn.Module
    layout: Layout
    remote: Remote | None = None

    @property
    def execution(self) -> Execution:
        """Device and precision, resolved."""
        return self.config.execution

    def federation(self, seed: int | None = None, strict: bool = True) -> Federation:
        """The clients, to be asked to train; their shuffles are derived from `seed`, by default the run's."""
        if self.remote is not None:
            chosen = self.config.seed if seed is None else seed
            return self.remote.federation(self.config, self.layout, seed=chosen, strict=strict)
        return SimulatedFederation(
            network=self.network,
            layout=self.layout,
            data=self.data,
            settings=self.config.local,
            execution=self.execution,
            seed=self.config.seed if seed is None else seed,
            loss=self.objective,
            aggregator=self.config.learning.aggregator,
        )

    @property
    def objective(self) -> Objective:
        """What clients descend."""
        model = self.config.model
        given = model.loss if isinstance(model, GivenModel) else None
        return CROSS_ENTROPY if given is None else GivenLoss(copy.deepcopy(given))

    def inputs(self, examples: Examples) -> Examples:
        """Some images as the network takes them."""
        return self.config.learning.input_of(examples, self.images.image_shape)

    def evaluate(self, model: Vector, split: Split = "test", without: Collection[ClientId] = ()) -> Evaluation:
        """A model, shape (P,), on every client's images, and on those of all but some where any are named."""
        if self.remote is not None:
            return self.remote.evaluate(self.config, self.layout, model, split, without)
        return evaluate(self.network, self.layout, model, self.data, self.execution, split, without)


@dataclass(frozen=True, kw_only=True)
class OpenRun(Prepared):
    """A run folder and what it was trained on.

    Attributes:
        path: The folder.
        history: What it holds.
        earlier: The trainings and erasures that it began from, the first one first; empty where it began anew.
    """

    path: Path
    history: RunFolder
    earlier: tuple[Part, ...] = ()

    @property
    def lineage(self) -> Lineage:
        """Its folder and what it began from: all that is on record of it, without its data and its network."""
        return Lineage(self.history, self.earlier)

    def parts(self, after: str | None = None) -> tuple[Part, ...]:
        """See `Lineage.parts`."""
        return self.lineage.parts(after)

    def past(self, after: str | None = None) -> RunFolder | Succession:
        """See `Lineage.past`."""
        return self.lineage.past(after)


def demand_complete(run: OpenRun) -> None:
    """Refuse a run whose training is not complete."""
    rounds, planned = run.history.rounds, run.config.federation.rounds
    if rounds < planned:
        raise HistoryError(
            f"{run.path}: only {rounds} of {planned} rounds are trained; run: fedlethe train --out {run.path}"
        )


def demand_clients(data: FederatedData, clients: tuple[ClientId, ...]) -> None:
    """Refuse a client that is not there, one named twice, and the last one."""
    data.without(clients)
    if twice := next((client for client in clients if clients.count(client) > 1), None):
        raise HistoryError(f"client '{twice}' is named twice; name each client once")
