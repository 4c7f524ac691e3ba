# SPDX-License-Identifier: MIT
"""A federation whose images lie on other machines: what a run needs of it, and what can be known without it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fedlethe.closed_form.by_class import ByClass
from fedlethe.config import RunConfig
from fedlethe.data.federated import ClientData, Examples, FederatedData, Split
from fedlethe.document import Document
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.federation.federation import Federation
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import Layout

REMOTE = "nodes"
"""The table below [run] in run.toml that says what is known of the other machines."""


class Remote(Protocol):
    """Clients whose images lie on other machines (see `flower`)."""

    @property
    def flower_run(self) -> int | None:
        """The Flower run that this process is the server of; None where it is of none."""
        ...

    def federation(self, config: RunConfig, layout: Layout, *, seed: int, strict: bool) -> Federation:
        """The clients, to be asked to train; `strict` stops where one does not answer."""
        ...

    def evaluate(
        self, config: RunConfig, layout: Layout, model: Vector, split: Split, without: Collection[ClientId] = ()
    ) -> Evaluation:
        """A model, shape (P,), on the images of every client that can be reached; see `OpenRun.evaluate`."""
        ...

    def statistics(self, config: RunConfig) -> Mapping[ClientId, ByClass]:
        """Each client's statistics in a closed-form federation, checked."""
        ...

    def facts(self) -> Document:
        """What run.toml has to say of them (see `remote_data`)."""
        ...

    def correspondence(self) -> Document:
        """Who they are, how that is known, and how many messages each was sent."""
        ...


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """Stands for the other machines where a command has no way to them.

    Attributes:
        run: The run folder.
        known: Its facts.
    """

    run: Path
    known: Mapping[str, Any]

    @property
    def flower_run(self) -> None:
        """See `Remote.flower_run`: of none."""
        return

    def federation(self, config: RunConfig, layout: Layout, *, seed: int, strict: bool) -> Federation:
        """See `Remote.federation`."""
        raise self._error()

    def evaluate(
        self, config: RunConfig, layout: Layout, model: Vector, split: Split, without: Collection[ClientId] = ()
    ) -> Evaluation:
        """See `Remote.evaluate`."""
        raise self._error()

    def statistics(self, config: RunConfig) -> Mapping[ClientId, ByClass]:
        """See `Remote.statistics`."""
        raise self._error()

    def facts(self) -> Document:
        """See `Remote.facts`."""
        return dict(self.known)

    def correspondence(self) -> Document:
        """See `Remote.correspondence`."""
        raise self._error()

    def _error(self) -> FedletheError:
        return HistoryError(f"{self.run}: its images lie on Flower nodes; use flwr run with this mode (docs/flower.md)")


def remote_data(facts: Mapping[str, Any]) -> FederatedData:
    """The clients by name, without an image.

    Args:
        facts: Classes, image_shape, and fingerprints by client.
    """
    shape = tuple(facts["image_shape"])
    nothing = Examples(np.zeros((0, *shape), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
    fingerprints: Mapping[ClientId, str] = facts["fingerprints"]
    return FederatedData(
        clients={client: ClientData(nothing, nothing, nothing) for client in sorted(fingerprints)},
        classes=tuple(facts["classes"]),
        image_shape=(shape[0], shape[1], shape[2]),
        source_fingerprint="/".join(f"{client}={fingerprints[client]}" for client in sorted(fingerprints)),
    )
