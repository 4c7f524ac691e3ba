# SPDX-License-Identifier: MIT
"""The history in the run folder: safetensors files, each entered in the ledger once it is in its place.

    RUN/global_checkpoints/round_0000.safetensors            the initial model
    RUN/global_checkpoints/round_0015.safetensors            the last one, or every one (GLOBALS)
    RUN/client_deltas/CLIENT/round_0001.sealed               the client's delta in each round (DELTAS), or in the first
    RUN/norms/CLIENT/round_0001.sealed                       the norms of its tensors (NORMS)
    RUN/influence/CLIENT/round_0015.sealed                   its influence after its last round (INFLUENCE)
    RUN/server_state/round_0015.safetensors                  what a server with a state of its own goes on from

What is kept of a client is sealed with its key (see `sealing`), or else is a safetensors file (JSON for norms). It is
its deltas, not its models: a model holds the global one that it began from, and with it every other client.

An influence has its round in its name, so that a kill in mid-round leaves the files of the round before intact.

After a purge (see `requests.purge`) the run's model is that of the erasure, which `final` gives; the influences of
the retained clients are rebased on it, and neither deltas, norms nor later global models are there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedlethe.errors import FedletheError, HistoryError
from fedlethe.federation.aggregate import advance, contribution
from fedlethe.files import locked
from fedlethe.history import checkpoint
from fedlethe.history.entries import Artefact, ArtefactKind
from fedlethe.history.history import FOR_A_METHOD, FOR_A_REPLAY, keeps_delta, not_kept
from fedlethe.history.ledger import Ledger
from fedlethe.history.paths import Kind, erasure_of, kind_of, name_of, of_erasure
from fedlethe.history.round_entries import participation_of, update_entered
from fedlethe.history.store import JSON, Store, of_round
from fedlethe.later import torch
from fedlethe.names import demand_apart, demand_client_name
from fedlethe.types import ClientId, Need, RoundRecord, Update, Vector
from fedlethe.vector import Layout


class RunFolder:
    """A History on disk; `append` records a round.

    Args:
        path: The run folder.
        clients: All clients of the federation.
        keep: What the history keeps of a training.
        create: Whether its ledger may be made.
        encrypt: Whether new files of a client are sealed with its key.
    """

    def __init__(
        self,
        path: Path,
        clients: Sequence[ClientId],
        keep: frozenset[Need],
        create: bool = False,
        encrypt: bool = True,
    ) -> None:
        self.path = path
        self.clients = tuple(sorted(clients))
        self.ledger = Ledger(path / "ledger.db", create)
        self.store = Store(path, self.ledger, encrypt)
        self._keep = keep
        self._layout: Layout | None = None

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    @property
    def keep(self) -> frozenset[Need]:
        """What the history holds; less after a purge, but always the influences that the deltas add up to."""
        if not (purges := self.ledger.events("purge")):
            return self._keep
        influence = {Need.INFLUENCE} if has_influence(self._keep) else frozenset()
        # A purge took the deltas of all rounds, and named what it rebased after its request.
        last = purges[-1].body
        held = (name_of(one) for one in self.ledger.artefacts().values() if one.kind == "influence")
        if last["erasure"] is not None and not any(name.endswith(f"/{last['request']}") for name in held):
            influence = frozenset()  # of a training of its own, or they would have told of the erased
        needs = {Need.DELTAS, Need.GLOBALS, Need.FIRST_DELTAS, Need.NORMS, Need.INFLUENCE}
        return self._keep - needs | influence

    @property
    def base(self) -> str | None:
        """The id of the erasure whose model is the run's since the last purge; None where there was none."""
        purges = [event.body["erasure"] for event in self.ledger.events("purge")]
        return next((id for id in reversed(purges) if id is not None), None)

    # Writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing to this run, and clear away what an interrupted one left half done.

        Raises:
            FedletheError: Another process is writing; the message names its pid.
        """
        with locked(self.path):
            # The ledger first: it says what belongs here, and by that things are cleared away.
            self.ledger.catch_up()
            self.store.demand_no_links()
            self.store.clear_strays()
            yield

    def begin(self, initial: Vector, layout: Layout) -> None:
        """Record the configuration and the initial model, if they are not recorded yet."""
        if not self.store.holds(of_round("global checkpoint", 0)):
            self._layout = layout
            added = [self._save("global checkpoint", None, 0, initial)]
            there = (name for name in ("run.toml", "recording.toml") if (self.path / name).is_file())
            added += [self.store.artefact("configuration", name) for name in there]
            self.ledger.add_artefacts(added)

    def append(self, record: RoundRecord, evaluation: str, server_state: bytes | None = None) -> None:
        """Record the next round: its files first, then all of it in the ledger at once.

        Args:
            record: The round; it must be the one after the last that is recorded.
            evaluation: Of the global model after it, as JSON.
            server_state: What the server needs beside the model to go on after it, such as an optimiser's moments, as
                the content of a safetensors file; that of the last round is kept.

        Raises:
            FedletheError: A client cannot name a folder, or cannot beside another one; nothing is written.
        """
        start, round = time.perf_counter(), record.round
        # All names before the first file: half of a round must not lie there when a name is refused.
        for client in (clients := {*self.clients, *record.updates, *record.refused}):
            demand_client_name(client, "name it otherwise")
        demand_apart(clients, "name one of them otherwise")
        added = [self._save("global checkpoint", None, round, record.after)]
        replaced = []
        if Need.GLOBALS not in self.keep and round > 1:
            replaced.append(self.store.find(of_round("global checkpoint", round - 1)).path)
        for client, update in record.updates.items():
            kept, outdated = self._keep_of(client, update, record)
            added += kept
            replaced += outdated
        replaced += [one.path for one in self.ledger.artefacts().values() if one.kind == "server state"]
        if server_state is not None:
            added.append(self.store.write("server state", of_round("server state", round), None, [server_state], round))
        seconds = {"training": record.seconds, "recording": time.perf_counter() - start}
        # From here on the round is there. What it replaces goes after that: a crash leaves too much, not too little.
        self.ledger.add_round(round, seconds, evaluation, participation_of(record), added, replaced)
        self.store.remove(replaced)

    def _keep_of(self, client: ClientId, update: Update, record: RoundRecord) -> tuple[list[Artefact], list[str]]:
        """The files of a client's update in a round, and those that they replace."""
        round, added, replaced = record.round, [], []
        if keeps_delta(self.keep, round):
            added.append(self._save("client delta", client, round, update.model - record.before))
        if Need.NORMS in self.keep:
            norms = json.dumps(self.layout.norms(update.model - record.before)).encode()
            added.append(self.store.write("norms", of_round("norms", round, client), client, [norms], round, JSON))
        if Need.INFLUENCE in self.keep:
            influence = contribution(update.model, record.before, record.weights[client])
            if (old := self._influence(client)) is not None:
                influence += self._load(old)
                replaced.append(old.path)
            added.append(self._save("influence", client, round, influence))
        return added, replaced

    def _save(self, kind: ArtefactKind, client: ClientId | None, round: int, vector: Vector) -> Artefact:
        return self.store.save(kind, of_round(kind, round, client), client, vector, self.layout, round)

    # Reading: the History Protocol

    @property
    def layout(self) -> Layout:
        """See `History.layout`."""
        if self._layout is None:
            initial = of_round("global checkpoint", 0)
            model = self.store.find(initial) if self.store.holds(initial) else self._final()
            self._layout = checkpoint.layout_of(self.path / model.path, model.sha256)
        return self._layout

    @property
    def rounds(self) -> int:
        """See `History.rounds`."""
        return self.ledger.rounds()

    @property
    def clean_rounds(self) -> int:
        """See `History.clean_rounds`: all of them."""
        return self.rounds

    def contributors(self) -> frozenset[ClientId]:
        """See `History.contributors`: after a purge also those who have an influence by its repair rounds."""
        influence = {
            held.client for held in self.ledger.artefacts().values() if held.client and held.kind == "influence"
        }
        rounds = range(1, self.rounds + 1)
        return frozenset(client for round in rounds for client in self.weights(round)) | influence

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`."""
        return {entry.client: entry.weight for entry in self.ledger.participation(round) if entry.weight is not None}

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        return tuple(entry.client for entry in self.ledger.participation(round))

    def initial(self) -> Vector:
        """See `History.initial`."""
        return self._load(self.store.find(of_round("global checkpoint", 0)))

    def final(self) -> Vector:
        """See `History.final`; after a purge the model of its erasure."""
        return self._load(self._final())

    def final_path(self) -> str:
        """The file of the model that `final` gives, relative to the run folder."""
        return self._final().path

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`; after a purge rebased on the model of its erasure."""
        self._demand(Need.INFLUENCE)
        artefact = self._influence(client)
        return torch.zeros(self.layout.size) if artefact is None else self._load(artefact)

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        # The first and the last are kept whatever was asked for; after a purge all that is left is what `find` finds.
        if 0 < round < self.rounds and self.base is None:
            self._demand(Need.GLOBALS)
        return self._load(self.store.find(of_round("global checkpoint", round)))

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        if not keeps_delta(self.keep, round):
            raise self.lacks(Need.DELTAS)
        return self._load(self.store.find(of_round("client delta", round, client)))

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """See `History.norms`."""
        self._demand(Need.NORMS)
        held = self.store.find(of_round("norms", round, client))
        norms: dict[str, float] = json.loads(self.store.content(held))
        return norms

    def server_state(self) -> bytes | None:
        """What `append` was given with the last round; None if nothing."""
        name = of_round("server state", self.rounds)
        return self.store.content(self.store.find(name)) if self.store.holds(name) else None

    def replay(self) -> Iterator[RoundRecord]:
        """Every round again, from the initial model and the clients' deltas alone. Needs DELTAS.

        Each `after` is rebuilt, not read: it must equal the global checkpoint of its round, bit for bit. The clients'
        models are rebuilt to rounding.
        """
        self._demand(Need.DELTAS, FOR_A_REPLAY)
        before = self.initial()
        for round in range(1, self.rounds + 1):
            entries = self.ledger.participation(round)
            weights = {entry.client: entry.weight for entry in entries if entry.weight is not None}
            updates = {
                entry.client: update_entered(entry, before, self.delta(round, entry.client))
                for entry in entries
                if entry.refused is None
            }
            refused = {entry.client: entry.refused for entry in entries if entry.refused is not None}
            after = advance(before, ((client, self.delta(round, client)) for client in updates), weights)
            yield RoundRecord(round, before, after, updates, weights, refused, 0.0)
            before = after

    def erased_model(self, id: str) -> Vector:
        """The model that an erasure led to, shape (P,).

        Raises:
            FedletheError: There is no such erasure, or its file is not the one that the ledger names.
        """
        self.demand_erasure(id)
        return self._load(self.store.find(of_erasure(id, Kind.MODEL)))

    def erasure_record(self, id: str) -> bytes:
        """What was entered of an erasure: the content of its erasure.json, held against the ledger.

        Raises:
            FedletheError: There is no such erasure, or its file is not the one that the ledger names.
        """
        self.demand_erasure(id)
        return self.store.content(self.store.find(of_erasure(id, Kind.RECORD)))

    def demand_erasure(self, id: str) -> None:
        """Refuse the id of an erasure that was not completed."""
        done = self.ledger.erasures().values()
        if id not in done:
            listed = ", ".join(done) or "none"
            raise HistoryError(f"{self.path}: there is no erasure '{id}'; its erasures are: {listed}")

    def anew(self, id: str) -> dict[ClientId, Vector]:
        """Each client's influence, shape (P,), in an erasure that trained all rounds anew; none of another."""
        return self._of_clients(id, Kind.INFLUENCE_ANEW)

    def repair(self, id: str) -> dict[ClientId, Vector]:
        """What each client's updates added in an erasure's repair rounds, shape (P,)."""
        return self._of_clients(id, Kind.REPAIR)

    def _of_clients(self, id: str, kind: Kind) -> dict[ClientId, Vector]:
        known = [one for one in self.ledger.artefacts().values() if (erasure_of(one), kind_of(one)) == (id, kind)]
        return {one.client: self._load(one) for one in known if one.client is not None}

    def verify(self) -> None:
        """Compare every file with the ledger.

        Raises:
            FedletheError: One is missing or has other bytes; the message names it.
        """
        if problem := next(self.store.problems(), None):
            raise HistoryError(f"{problem}; restore it from a backup")

    def _final(self) -> Artefact:
        base = self.base
        trained = of_round("global checkpoint", self.rounds)
        return self.store.find(trained if base is None else of_erasure(base, Kind.MODEL))

    def _influence(self, client: ClientId) -> Artefact | None:
        known = self.ledger.artefacts().values()
        return next((held for held in known if (held.kind, held.client) == ("influence", client)), None)

    def _load(self, artefact: Artefact) -> Vector:
        return self.store.load(artefact, self.layout)

    def _demand(self, need: Need, mend: str = FOR_A_METHOD) -> None:
        if need not in self.keep:
            raise self.lacks(need, mend)

    def lacks(self, need: Need, mend: str = FOR_A_METHOD) -> FedletheError:
        """The error for what is not there: never kept, or gone with a purge."""
        if need in self._keep:
            influence = need is not Need.INFLUENCE and Need.INFLUENCE in self.keep
            how = "by influence or retrain" if influence else "by retraining"
            return HistoryError(f"{self.path}: {need.value} went with a purge; erase {how}")
        return not_kept(need, mend)


def anew(id: str) -> str:
    """The folder of the influences in an erasure that trained all rounds anew."""
    return f"{of_erasure(id, Kind.INFLUENCE_ANEW)}/"


def has_influence(keep: Collection[Need]) -> bool:
    """Whether the clients' influences are kept, or add up from what is."""
    return Need.INFLUENCE in keep or Need.DELTAS in keep
