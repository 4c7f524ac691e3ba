# SPDX-License-Identifier: MIT
"""The history of a training: the read-only Protocol, and the one that lives in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.aggregate import contribution
from fedlethe.types import ClientId, Need, RoundRecord, Vector
from fedlethe.vector import Layout


class History(Protocol):
    """What was kept of training. A reader that asks for what was not kept gets a FedletheError that names it.

    The vectors that it returns must not be written to.
    """

    @property
    def layout(self) -> Layout:
        """The layout of every vector."""
        ...

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """All clients of the federation, sorted, also those that took part in no round."""
        ...

    @property
    def rounds(self) -> int:
        """R, the number of complete rounds."""
        ...

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """p_k,t of the clients whose updates entered the round, 1 <= round <= R."""
        ...

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """Who was asked in the round, sorted, those refused included."""
        ...

    def initial(self) -> Vector:
        """w_0, shape (P,). Needs INITIAL."""
        ...

    def final(self) -> Vector:
        """w_R, shape (P,)."""
        ...

    def influence(self, client: ClientId) -> Vector:
        """I_k = sum over t of p_k,t x delta_k,t, shape (P,); zero if it took part in no round. Needs INFLUENCE."""
        ...

    def global_model(self, round: int) -> Vector:
        """w_t, shape (P,), 0 <= round <= R. Needs GLOBALS."""
        ...

    def delta(self, round: int, client: ClientId) -> Vector:
        """delta_k,t, shape (P,). Needs DELTAS."""
        ...


def not_kept(need: Need) -> FedletheError:
    """The error for what the history does not hold."""
    return FedletheError(f"this run did not keep {need.value}; train it again with --keep everything")


class InMemoryHistory:
    """A history that is appended to round by round, for tests, examples and replays.

    Args:
        initial: w_0, shape (P,).
        layout: Its layout.
        clients: All clients of the federation.
        keep: What to keep.
    """

    def __init__(self, initial: Vector, layout: Layout, clients: Sequence[ClientId], keep: frozenset[Need]) -> None:
        self.layout = layout
        self.clients = tuple(sorted(clients))
        self.keep = keep
        self._initial = self._final = initial
        self._globals = [initial]
        self._influence = {client: torch.zeros_like(initial) for client in self.clients}
        self._deltas: dict[tuple[int, ClientId], Vector] = {}
        self._weights: list[Mapping[ClientId, float]] = []
        self._participants: list[tuple[ClientId, ...]] = []

    def append(self, record: RoundRecord) -> None:
        """Take in the next round."""
        self._weights.append(dict(record.weights))
        self._participants.append(tuple(sorted([*record.updates, *record.refused])))
        self._final = record.after
        if Need.GLOBALS in self.keep:
            self._globals.append(record.after)
        for client, update in record.updates.items():
            if Need.DELTAS in self.keep:
                self._deltas[record.round, client] = update.model - record.before
            if Need.INFLUENCE in self.keep:
                self._influence[client] += contribution(update.model, record.before, record.weights[client])

    @property
    def rounds(self) -> int:
        """See `History.rounds`."""
        return len(self._weights)

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`."""
        return self._weights[round - 1]

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        return self._participants[round - 1]

    def initial(self) -> Vector:
        """See `History.initial`."""
        self._demand(Need.INITIAL)
        return self._initial

    def final(self) -> Vector:
        """See `History.final`."""
        return self._final

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`."""
        self._demand(Need.INFLUENCE)
        return self._influence[client]

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        self._demand(Need.GLOBALS)
        return self._globals[round]

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        self._demand(Need.DELTAS)
        return self._deltas[round, client]

    def _demand(self, need: Need) -> None:
        if need not in self.keep:
            raise not_kept(need)
