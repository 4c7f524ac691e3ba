# SPDX-License-Identifier: MIT
"""A Federation of which somebody is told: who is about to train, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Objective
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class WatchedFederation:
    """A federation, each of whose calls is told of; see `Federation`.

    Attributes:
        inner: The federation that does the work.
        before: Is told which client is about to be asked, or None where the public images train; may refuse by raising,
            at once and not when the updates are read.
        after: Is told of each update as it comes, with the same.
    """

    inner: Federation
    before: Callable[[ClientId | None], None] = _nothing
    after: Callable[[ClientId | None, Update], None] = _nothing

    @property
    def layout(self) -> Layout:
        """See `Federation.layout`."""
        return self.inner.layout

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """See `Federation.clients`."""
        return self.inner.clients

    @property
    def settings(self) -> LocalTraining:
        """See `Federation.settings`."""
        return self.inner.settings

    @property
    def aggregator(self) -> Aggregator:
        """See `Federation.aggregator`."""
        return self.inner.aggregator

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
            self.before(client)
        return self._told(self.inner.train(model, clients, round=round, settings=settings, objective=objective))

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        self.before(None)
        update = self.inner.train_on_public(model, round=round, objective=objective, settings=settings)
        self.after(None, update)
        return update

    def without(self, forget: Iterable[ClientId]) -> WatchedFederation:
        """See `Federation.without`: it is told of as well."""
        return replace(self, inner=self.inner.without(forget))

    def _told(self, updates: Iterator[Update]) -> Iterator[Update]:
        for update in updates:
            self.after(update.client, update)
            yield update
