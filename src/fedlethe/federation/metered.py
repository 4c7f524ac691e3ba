# SPDX-License-Identifier: MIT
"""A Federation that counts what is asked of the one it wraps, so that no method reports its own cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Objective
from fedlethe.types import ClientId, Cost, Update, Vector
from fedlethe.vector import Layout


@dataclass
class Meter:
    """Counts from the moment it is made.

    Attributes:
        notify: Called after each update.
    """

    notify: Callable[[], None] = lambda: None
    start: float = field(default_factory=time.perf_counter)
    client_steps: int = 0
    examples: int = 0
    bytes_moved: int = 0
    clients: set[ClientId] = field(default_factory=set)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time spent in the block does not count."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.start += time.perf_counter() - start

    def cost(self) -> Cost:
        """What was counted so far."""
        seconds = time.perf_counter() - self.start
        return Cost(self.client_steps, self.examples, self.bytes_moved, seconds, tuple(sorted(self.clients)))


@dataclass(frozen=True)
class MeteredFederation:
    """Counts client steps, examples and the bytes of models sent and received.

    Attributes:
        inner: The federation that does the work.
        meter: Where it is counted; shared with what `without` returns.
    """

    inner: Federation
    meter: Meter

    @property
    def layout(self) -> Layout:
        """The layout of the model."""
        return self.inner.layout

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who can be asked, sorted."""
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
        for update in self.inner.train(model, clients, round=round, settings=settings, objective=objective):
            self.meter.client_steps += update.steps
            self.meter.examples += update.examples_processed
            self.meter.bytes_moved += (model.numel() + update.model.numel()) * model.element_size()
            self.meter.clients.add(update.client)
            self.meter.notify()
            yield update

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`: it moves no model and asks no client, but its steps count."""
        update = self.inner.train_on_public(model, round=round, objective=objective, settings=settings)
        self.meter.client_steps += update.steps
        self.meter.examples += update.examples_processed
        self.meter.notify()
        return update

    def without(self, forget: Iterable[ClientId]) -> MeteredFederation:
        """See `Federation.without`; the meter stays the same."""
        return MeteredFederation(self.inner.without(forget), self.meter)
