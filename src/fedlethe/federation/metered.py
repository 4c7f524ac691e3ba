# SPDX-License-Identifier: MIT
"""Counts what is asked of a federation, so that no method reports its own cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedlethe.federation.federation import Federation
from fedlethe.federation.watched import WatchedFederation
from fedlethe.types import ClientId, Cost, Update


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


def metered(federation: Federation, meter: Meter) -> Federation:
    """A federation whose client steps, examples and bytes of models sent and received are counted.

    The public images' training moves no model and asks no client, but its steps count.

    Args:
        federation: The federation that does the work.
        meter: Where it is counted; shared with what `without` returns.
    """

    def count(client: ClientId | None, update: Update) -> None:
        meter.client_steps += update.steps
        meter.examples += update.examples_processed
        if client is not None:
            meter.bytes_moved += (federation.layout.size + update.model.numel()) * update.model.element_size()
            meter.clients.add(client)
        meter.notify()

    return WatchedFederation(federation, after=count)
