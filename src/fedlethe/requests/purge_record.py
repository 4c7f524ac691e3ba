# SPDX-License-Identifier: MIT
"""What the ledgers say of a purge: under which name it is there, and whether it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import OF_RUN
from fedlethe.history.request_log import ErasureRequest
from fedlethe.types import ClientId


class Departure(Protocol):
    """Whose traces a purge takes: an erasure request, or `WithoutRequest` where an app of one's own keeps none."""

    @property
    def id(self) -> str:
        """Names the purge, and the files that it writes."""
        ...

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Who was erased, whole or in part."""
        ...

    @property
    def patients(self) -> Mapping[ClientId, tuple[str, ...]]:
        """Of those in part, what stands for their patients."""
        ...

    @property
    def erasure(self) -> str | None:
        """The erasure that carried it out."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class WithoutRequest:
    """A purge of which the ledger holds no request; see `Departure`."""

    erasure: str
    clients: tuple[ClientId, ...]
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """See `Departure.id`."""
        return f"erasure-{self.erasure}"


def abroad(history: RunFolder, request: ErasureRequest) -> str:
    """What a request is called in the ledger of a run that this one began from."""
    return f"{request.id}{OF_RUN}{history.ledger.run_id}"


def because_of(request: str) -> str:
    """What tombstones say of the purge of a request."""
    return f"purge of request {request}"


def is_purged(folder: RunFolder, request: str) -> bool:
    """Whether the ledger says that the purge of a request was made, or begun."""
    # By the row that is written in one transaction with the tombstones and the ends of keys: it stands for them.
    return any(event.body["request"] == request for event in folder.ledger.events("purge"))
