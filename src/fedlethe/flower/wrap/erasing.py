# SPDX-License-Identifier: MIT
"""An erasure from the record of an app of one's own: unlearn at the server, repair with the app's own strategy.

In the ServerApp:

    erasing = Erasing(run="/srv/fedlethe/run", forget=["hospital-1"], options={"scale": 0.75})
    retained = erasing.grid(grid)
    result = FedAvg(...).start(retained, initial_arrays=erasing.arrays(), num_rounds=1)
    erasing.enter(result.arrays, retained)
    erasing.purge()
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, MessageType
from flwr.serverapp import Grid

from fedlethe import unlearning
from fedlethe.config.parts import build_method
from fedlethe.errors import ConfigError, HistoryError, RequestError
from fedlethe.federation.aggregator import Aggregator
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.objective import Objective
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.recorded_folder import Recorded, known_identities, write_nodes
from fedlethe.flower.nodes.roster import Roster
from fedlethe.flower.wrap.begin_after import LOG, left_out
from fedlethe.flower.wrap.model_arrays import ModelArrays
from fedlethe.flower.wrap.strategy_state import pack, unpack
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.store import JSON
from fedlethe.history.succession import Succession
from fedlethe.later import torch
from fedlethe.requests.copies import reached
from fedlethe.requests.purge import purge_recorded
from fedlethe.runs.past import part_of
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
        self._flower_run: int | None = None

    def arrays(self) -> ArrayRecord:
        """The model without the forgotten clients, as the app sends models.

        Raises:
            RequestError: The history does not hold what the method needs, or the method needs clients to train.
        """
        with self.recorded.opened() as history:
            past = _past(history)
            for client in self.forget:
                if client not in past.clients and client in past.contributors():
                    raise RequestError(
                        f"client '{client}' trained in the repair of an erasure alone, and what it put into the model "
                        "is not kept; train again without it"
                    )
                if client not in past.clients:
                    there = ", ".join(past.clients)
                    raise RequestError(f"client '{client}' took part in no round of {history.path}; those are {there}")
            for need in sorted(self.method.needs, key=lambda need: need.name):
                if need.of_history and need not in history.keep:
                    raise history.lacks(need)
            held, plain = _beside_the_model(history)
            nobody = NobodyTrains(past.layout, past.clients)
            unlearned = unlearning.unlearn(self.method, self.forget, past, nobody)
            rest = {name: held[f"whole:{name}"] for name in plain["whole"]}
            return ModelArrays(tuple(plain["names"]), history.layout).arrays(unlearned.model, rest)

    def grid(self, grid: Grid) -> RetainedGrid:
        """The nodes without the forgotten clients', and without those that were forgotten before."""
        run = grid.run
        self._flower_run = None if run is None else run.run_id
        roster = Roster(grid, strict=False, known=known_identities(self.recorded.path))
        with self.recorded.opened() as history:
            # Those who were erased before stay out, too: this repair must not bring them back.
            earlier = (set(history.clients) - set(_past(history).clients)) | left_out(history)
        return RetainedGrid(grid, {*self.forget, *earlier}, roster)

    def enter(self, arrays: ArrayRecord, grid: RetainedGrid) -> Path:
        """Enter the erasure in the ledger: the model that it led to, and that nobody wrote to the forgotten clients.

        Args:
            arrays: The model, repaired or not.
            grid: What the repair went through.

        Returns:
            The model's file.
        """
        with self.recorded.opened() as history, history.locked():
            id = f"{len(history.ledger.erasures()) + 1:04d}"
            named = ModelArrays(tuple(arrays), history.layout)
            model, rest = named.vector(arrays), {f"whole:{name}": held for name, held in named.rest(arrays).items()}
            # Nothing is written before this: a model that cannot be used must not stand in the ledger as an erasure.
            if not bool(torch.isfinite(model).all()):
                raise ConfigError("the repaired model is not finite; choose milder options")
            request = {"forget": self.forget, "method": {"name": self.name, **self.options}, "id": id}
            store = history.store
            facts = {"id": id, "forget": self.forget, "method": self.name, "request": request, "guarantee": None}
            facts["after"] = history.base
            # Flower's types of messages that clients train at are 'train' and 'train.NAME'.
            trained = {client for client, kind in grid.sent if kind.partition(".")[0] == MessageType.TRAIN}
            facts["cost"] = {"clients": sorted(trained)}
            whole = [name.partition(":")[2] for name in rest]
            record = json.dumps(facts, indent=1).encode()
            beside = pack(rest, {"whole": whole, "names": named.names})
            added = [
                store.write("erasure", of_erasure(id, Kind.BESIDE), None, [beside]),
                store.save("erasure", of_erasure(id, Kind.MODEL), None, model, history.layout),
                store.write("erasure", of_erasure(id, Kind.RECORD), None, [record], ending=JSON),
                write_nodes(store, "erasure", of_erasure(id, Kind.NODES), grid),
            ]
            history.ledger.add_erasure(id, json.dumps(request, sort_keys=True), added)
            return history.path / store.find(of_erasure(id, Kind.MODEL)).path

    def purge(self) -> None:
        """Purge what is kept of the forgotten clients, once the erasure is entered; after a kill, again.

        What goes and what stays is as in `requests.purge`: the next erasure begins from this one's model, and the
        training cannot go on, since every global model that holds them is gone.

        Raises:
            RequestError: The erasure is not entered.
        """
        with self.recorded.opened() as history, history.locked():
            entered = history.ledger.erasures()
            own = [id for request, id in entered.items() if json.loads(request)["forget"] == list(self.forget)]
            if not own:
                raise RequestError(f"{history.path}: enter the erasure of {', '.join(self.forget)} first, then purge")
            purge_recorded(history, self.forget, max(own), self._flower_run)
            for missed in reached(history, f"erasure-{max(own)}")[1]:
                LOG.warning("fedlethe: not reached by the purge: %s", missed)


def _past(history: RunFolder) -> RunFolder | Succession:
    """What was recorded; after a purge it goes on from the model of its erasure."""
    base = history.base
    return history if base is None else Succession([part_of(history, base)], history.erased_model(base))


def _beside_the_model(history: RunFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the app sends beside the vector (counters, and the order of its arrays), after the last round or purge."""
    if history.base is None:
        content = history.server_state()
        if content is None:
            raise HistoryError(f"{history.path}: no round is recorded; train first")
    else:
        content = history.store.content(history.store.find(of_erasure(history.base, Kind.BESIDE)))
    held, plain = unpack(content, history.path)
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

    @cached_property
    def aggregator(self) -> Aggregator:
        """See `Federation.aggregator`: what was recorded is read as the mean that it is recorded as."""
        return WEIGHTED_MEAN

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
    def _error() -> ConfigError:
        return ConfigError(
            "this method asks clients to train in its own way, which only fedlethe's app can: fedlethe flower new DIR"
        )
