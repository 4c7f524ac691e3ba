# SPDX-License-Identifier: MIT
"""An erasure from the record of an app of one's own: unlearn at the server, repair with the app's own strategy.

In the ServerApp:

    erasing = Erasing(run="/srv/fedlethe/run", forget=["hospital-1"], options={"scale": 0.75})
    retained = erasing.grid(grid)
    result = FedAvg(...).start(retained, initial_arrays=erasing.arrays(), num_rounds=1)
    erasing.enter(result.arrays, retained)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from fedlethe import unlearning
from fedlethe.config import build_method
from fedlethe.errors import FedletheError
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.objective import Objective
from fedlethe.flower.grid import RetainedGrid
from fedlethe.flower.identity import Roster
from fedlethe.flower.named import Named
from fedlethe.flower.recorded import Recorded, known_identities, write_nodes
from fedlethe.flower.state import unpack
from fedlethe.history.disk import RunFolder
from fedlethe.history.store import JSON
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout


class Erasing:
    """One erasure.

    Args:
        run: The folder that `Recording` recorded in.
        forget: Who is erased.
        method: A row of METHODS in which no client trains.
        options: The method's options.

    Raises:
        FedletheError: There is no such recording, client, method or option.
    """

    def __init__(
        self,
        run: str | Path,
        forget: Sequence[ClientId],
        method: str = "influence",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.recorded = Recorded.of(Path(run))
        self.forget = tuple(sorted(set(forget)))
        self.name = method
        self.options = dict(options or {})
        self.method = build_method(method, self.options)

    def arrays(self) -> ArrayRecord:
        """The model without the forgotten clients, as the app sends models.

        Raises:
            FedletheError: The history does not hold what the method needs, or the method needs clients to train.
        """
        with self.recorded.opened() as history:
            for client in self.forget:
                if client not in history.clients:
                    there = ", ".join(history.clients)
                    raise FedletheError(f"client '{client}' took part in no round of {history.path}; those are {there}")
            for need in sorted(self.method.needs, key=lambda need: need.name):
                if need.of_history and need not in history.keep:
                    raise history.lacks(need)
            held, plain = self._state(history)
            nobody = NobodyTrains(history.layout, history.clients)
            unlearned = unlearning.unlearn(self.method, self.forget, history, nobody)
            rest = {name: held[f"whole:{name}"] for name in plain["whole"]}
            return Named(tuple(plain["names"]), history.layout).arrays(unlearned.model, rest)

    def grid(self, grid: Grid) -> RetainedGrid:
        """The nodes without the forgotten clients'."""
        roster = Roster(grid, strict=False, known=known_identities(self.recorded.path))
        return RetainedGrid(grid, self.forget, roster)

    def enter(self, arrays: ArrayRecord, grid: RetainedGrid) -> Path:
        """Enter the erasure in the ledger: the model that it led to, and that nobody wrote to the forgotten clients.

        Args:
            arrays: The model, repaired or not.
            grid: What the repair went through.

        Returns:
            The model's file.
        """
        path = self.recorded.path
        with self.recorded.opened() as history, history.locked():
            id = f"{len(history.ledger.erasures()) + 1:04d}"
            folder = Path("erasures") / id
            model = Named(tuple(arrays), history.layout).vector(arrays)
            if not bool(torch.isfinite(model).all()):
                raise FedletheError("the repaired model is not finite; choose milder options")
            request = {"forget": self.forget, "method": {"name": self.name, **self.options}, "id": id}
            store, place = history.store, folder.as_posix()
            facts = {"id": id, "forget": self.forget, "method": self.name, "request": request, "guarantee": None}
            added = [
                store.save("erasure", f"{place}/model", None, model, history.layout),
                store.write("erasure", f"{place}/erasure", None, [json.dumps(facts, indent=1).encode()], ending=JSON),
                write_nodes(store, "erasure", f"{place}/nodes", grid),
            ]
            history.ledger.add_erasure(id, json.dumps(request, sort_keys=True), added)
        return path / folder / "model.safetensors"

    @staticmethod
    def _state(history: RunFolder) -> tuple[dict[str, Any], dict[str, Any]]:
        content = history.server_state()
        if content is None:
            raise FedletheError(f"{history.path}: no round is recorded; train first")
        held, plain = unpack(content)
        return dict(held), plain


@dataclass(frozen=True)
class NobodyTrains:
    """A Federation for methods that need no client; who asks one is told so."""

    layout: Layout
    clients: tuple[ClientId, ...]

    @cached_property
    def settings(self) -> LocalTraining:
        """See `Federation.settings`: unknown, so the defaults."""
        return LocalTraining()

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
        raise self._error()

    def train_on_public(
        self, model: Vector, *, round: int, objective: Objective, settings: LocalTraining | None = None
    ) -> Update:
        """See `Federation.train_on_public`."""
        raise self._error()

    def without(self, forget: Iterable[ClientId]) -> NobodyTrains:
        """See `Federation.without`."""
        gone = set(forget)
        return NobodyTrains(self.layout, tuple(client for client in self.clients if client not in gone))

    @staticmethod
    def _error() -> FedletheError:
        return FedletheError(
            "this method asks clients to train in its own way, which only fedlethe's app can: fedlethe flower new DIR"
        )
