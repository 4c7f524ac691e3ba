# SPDX-License-Identifier: MIT
"""The federation as an unlearning method sees it: those train whom it declared, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fedlethe.errors import ConfigError
from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Objective
from fedlethe.types import ClientId, Need, Update, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True)
class DeclaredFederation:
    """A federation of which only those train whom the method declared.

    Attributes:
        inner: The federation.
        forget: Who is erased.
        needs: What the method declared.
        name: The method's, in messages.
    """

    inner: Federation
    forget: frozenset[ClientId]
    needs: frozenset[Need]
    name: str

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
        """See `Federation.train`.

        Raises:
            FedletheError: The method did not declare that these clients train.
        """
        for client in clients:
            self._demand(Need.FORGOTTEN_DATA if client in self.forget else Need.RETAINED_DATA)
        return self.inner.train(model, clients, round=round, settings=settings, objective=objective)

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        self._demand(Need.PUBLIC_DATA)
        return self.inner.train_on_public(model, round=round, objective=objective, settings=settings)

    def without(self, forget: Iterable[ClientId]) -> DeclaredFederation:
        """See `Federation.without`."""
        return replace(self, inner=self.inner.without(forget))

    def _demand(self, need: Need) -> None:
        if need not in self.needs:
            raise ConfigError(
                f"{self.name}: uses '{need.value}', which it did not declare; add Need.{need.name} to its `needs`"
            )
