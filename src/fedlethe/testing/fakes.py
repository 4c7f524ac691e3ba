# SPDX-License-Identifier: MIT
"""A federation of linear clients whose every number can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fedlethe.data.federated import unknown_client
from fedlethe.errors import DataError
from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.objective import Objective
from fedlethe.federation.train import train
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.history.history import InMemoryHistory
from fedlethe.later import torch
from fedlethe.types import EVERYTHING, ClientId, Need, Update, Vector
from fedlethe.vector import Layout

LAYOUT = Layout({"bias": (1,), "weight": (2,)})


@dataclass(frozen=True)
class LinearFederation:
    """Each client goes half of the way from the global model to its own target, whatever the settings.

    Attributes:
        targets: Client to the model it would end at, shape (P,).
        num_examples: Client to its number of examples.
        asked: Every (round, client) that was asked to train; shared with what `without` returns.
        settings_asked: The settings that each of them was asked to train by.
        objectives: And what it was to descend.
        public: Where training on the public data would end.
        loss: What each client reports.
        aggregator: See `Federation.aggregator`.
    """

    targets: Mapping[ClientId, Vector]
    num_examples: Mapping[ClientId, int]
    layout: Layout = LAYOUT
    asked: list[tuple[int, ClientId]] = field(default_factory=list)
    settings_asked: list[LocalTraining | None] = field(default_factory=list)
    objectives: list[Objective] = field(default_factory=list)
    public: Vector = field(default_factory=lambda: torch.zeros(3))
    loss: float = 0.0
    settings: LocalTraining = LocalTraining()  # noqa: RUF009
    aggregator: Aggregator = WEIGHTED_MEAN

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """See `Federation.clients`."""
        return tuple(sorted(self.targets))

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
            if client not in self.targets:
                raise DataError(unknown_client(client, self.clients))
            self.asked.append((round, client))
            examples = self.num_examples[client]
            self.settings_asked.append(settings)
            self.objectives.append(objective)
            # Half of the way is exact in binary floats, so results by hand hold to the bit.
            yield Update(client, model + 0.5 * (self.targets[client] - model), examples, examples, 1, self.loss)

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        self.settings_asked.append(settings)
        self.objectives.append(objective)
        return Update("(public)", model + 0.5 * (self.public - model), 1, 1, 1, 0.0)

    def without(self, forget: Iterable[ClientId]) -> LinearFederation:
        """See `Federation.without`."""
        gone = set(forget)
        targets = {client: target for client, target in self.targets.items() if client not in gone}
        return replace(self, targets=targets)


def linear_federation(loss: float = 0.0) -> LinearFederation:
    """Clients a (1 example, target 4), b (1, target 8) and c (2, target -4), the same in all three weights.

    Example:
        >>> history = trained_history(linear_federation(), [(1, ("a", "b", "c"))])  # 1/4*2 + 1/4*4 + 1/2*-2
        >>> history.final().tolist()
        [0.5, 0.5, 0.5]
    """
    targets = {client: torch.full((3,), value) for client, value in (("a", 4.0), ("b", 8.0), ("c", -4.0))}
    return LinearFederation(targets, {"a": 1, "b": 1, "c": 2}, loss=loss)


def trained_history(
    federation: LinearFederation,
    schedule: Sequence[tuple[int, Sequence[ClientId]]],
    keep: frozenset[Need] = EVERYTHING,
    initial: Vector | None = None,
) -> InMemoryHistory:
    """The history of federated averaging over a schedule, from zero if no initial model is given."""
    start = torch.zeros(federation.layout.size) if initial is None else initial
    history = InMemoryHistory(start, federation.layout, federation.clients, keep)
    for record in train(federation, start, schedule):
        history.append(record)
    return history
