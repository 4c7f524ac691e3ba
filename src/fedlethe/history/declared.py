# SPDX-License-Identifier: MIT
"""The history as an unlearning method sees it: what it declared can be read, and nothing else."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

from fedlethe.errors import ConfigError
from fedlethe.history.history import History, keeps_delta
from fedlethe.types import ClientId, Need, Vector
from fedlethe.vector import Layout


class DeclaredHistory:
    """A history of which only what was declared can be read; it tells whether a vector of it was written to.

    Args:
        inner: The history.
        needs: What was declared.
        reader: Names who reads, in messages.
    """

    def __init__(self, inner: History, needs: frozenset[Need], reader: str) -> None:
        self._inner = inner
        self._needs = needs
        self._reader = reader
        # A vector that was read afresh from disk and let go cannot be changed for anybody else: it is not held here.
        self._lent: list[tuple[str, weakref.ref[Vector], int]] = []

    @property
    def layout(self) -> Layout:
        """See `History.layout`."""
        return self._inner.layout

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """See `History.clients`."""
        return self._inner.clients

    @property
    def rounds(self) -> int:
        """See `History.rounds`."""
        return self._inner.rounds

    @property
    def clean_rounds(self) -> int:
        """See `History.clean_rounds`."""
        return self._inner.clean_rounds

    def contributors(self) -> frozenset[ClientId]:
        """See `History.contributors`."""
        return self._inner.contributors()

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`; a copy."""
        return dict(self._inner.weights(round))

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        return self._inner.participants(round)

    def initial(self) -> Vector:
        """See `History.initial`."""
        self._demand(Need.INITIAL)
        return self._lend("initial()", self._inner.initial())

    def final(self) -> Vector:
        """See `History.final`."""
        return self._lend("final()", self._inner.final())

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`."""
        self._demand(Need.INFLUENCE)
        return self._lend(f"influence('{client}')", self._inner.influence(client))

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        self._demand(Need.GLOBALS)
        return self._lend(f"global_model({round})", self._inner.global_model(round))

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        if not keeps_delta(self._needs, round):
            self._demand(Need.DELTAS)
        return self._lend(f"delta({round}, '{client}')", self._inner.delta(round, client))

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """See `History.norms`; a copy."""
        self._demand(Need.NORMS)
        return dict(self._inner.norms(round, client))

    def written_to(self) -> str | None:
        """The call whose vector was written to in place; None where none was."""
        for call, reference, version in self._lent:
            vector = reference()
            if vector is not None and vector._version != version:
                return call
        return None

    def _lend(self, call: str, vector: Vector) -> Vector:
        self._lent.append((call, weakref.ref(vector), vector._version))
        return vector

    def _demand(self, need: Need) -> None:
        if need not in self._needs:
            raise ConfigError(
                f"{self._reader}: reads {need.value}, which it did not declare; add Need.{need.name} to its `needs`"
            )
