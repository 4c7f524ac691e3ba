# SPDX-License-Identifier: MIT
"""The federation as an unlearning method sees it: those train whom it declared, and nobody else."""

from __future__ import annotations

from fedlethe.errors import ConfigError
from fedlethe.federation.federation import Federation
from fedlethe.federation.watched import WatchedFederation
from fedlethe.types import ClientId, Need


def declared(federation: Federation, forget: frozenset[ClientId], needs: frozenset[Need], name: str) -> Federation:
    """A federation of which only those train whom a method declared; others are refused with a FedletheError.

    Args:
        federation: The federation.
        forget: Who is erased.
        needs: What the method declared.
        name: The method's, in messages.
    """

    def demand(client: ClientId | None) -> None:
        need = Need.PUBLIC_DATA if client is None else Need.FORGOTTEN_DATA if client in forget else Need.RETAINED_DATA
        if need not in needs:
            raise ConfigError(
                f"{name}: uses '{need.value}', which it did not declare; add Need.{need.name} to its `needs`"
            )

    return WatchedFederation(federation, before=demand)
