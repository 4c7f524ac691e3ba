# SPDX-License-Identifier: MIT
"""The history in the run folder: safetensors files, each entered in the ledger once it is in its place.

    RUN/global_checkpoints/round_0000.safetensors            the initial model
    RUN/global_checkpoints/round_0015.safetensors            the last one, or every one (GLOBALS)
    RUN/client_checkpoints/CLIENT/round_0001.safetensors     the client's model in each round (DELTAS), or in the first
    RUN/influence/CLIENT/round_0015.safetensors              its influence after its last round (INFLUENCE)
    RUN/statistics/CLIENT/round_0001.safetensors             what it sent in a closed-form federation
    RUN/statistics/round_0001.safetensors                    the sums of all clients there
    RUN/statistics/fit.json                                  what was chosen there
    RUN/server_state/round_0015.safetensors                  what a server with a state of its own goes on from

An influence has its round in its name, so that a kill in mid-round leaves the files of the round before intact.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from fedlethe import checkpoint, files
from fedlethe.errors import FedletheError
from fedlethe.exact.statistics import Statistics
from fedlethe.federation.aggregate import aggregate, contribution
from fedlethe.files import ASIDE, sha256_of, written_whole
from fedlethe.history.history import keeps_delta, not_kept
from fedlethe.history.ledger import Artefact, Kind, Ledger, Participation
from fedlethe.types import ClientId, Need, RoundRecord, Update, Vector
from fedlethe.vector import Layout

FOLDERS: Mapping[Kind, str] = {
    "global checkpoint": "global_checkpoints",
    "client checkpoint": "client_checkpoints",
    "influence": "influence",
    "statistics": "statistics",
    "erasure": "erasures",
    "nodes": "nodes",
    "server state": "server_state",
}

FIT = "statistics/fit.json"


class RunFolder:
    """A History on disk; `append` records a round.

    Args:
        path: The run folder.
        clients: All clients of the federation.
        keep: What the history keeps.
        create: Whether its ledger may be made.
    """

    def __init__(self, path: Path, clients: Sequence[ClientId], keep: frozenset[Need], create: bool = False) -> None:
        self.path = path
        self.clients = tuple(sorted(clients))
        self.keep = keep
        self.ledger = Ledger(path / "ledger.db", create)
        self._layout: Layout | None = None

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    # Writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing to this run, and clear away what an interrupted one left half done.

        Raises:
            FedletheError: Another process is writing; the message names its pid.
        """
        try:
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise FedletheError(f"{self.path}: cannot be written ({error.strerror}); make it writable") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise FedletheError(
                    f"{self.path}: process {lock.read() or '?'} is at work on it; wait for it"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._clear_strays()
            yield

    def begin(self, initial: Vector, layout: Layout) -> None:
        """Record the initial model, if it is not recorded yet."""
        if self._name("global checkpoint", 0) not in self.ledger.artefacts():
            self._layout = layout
            self.ledger.add_artefacts([self._save("global checkpoint", 0, None, initial)])

    def append(self, record: RoundRecord, evaluation: str, server_state: bytes | None = None) -> None:
        """Record the next round: its files first, then all of it in the ledger at once.

        Args:
            record: The round; it must be the one after the last that is recorded.
            evaluation: Of the global model after it, as JSON.
            server_state: What the server needs beside the model to go on after it, such as an optimiser's moments, as
                the content of a safetensors file; that of the last round is kept.
        """
        start = time.perf_counter()
        known = self.ledger.artefacts()
        added = [self._save("global checkpoint", record.round, None, record.after)]
        removed = []
        if Need.GLOBALS not in self.keep and record.round > 1:
            removed.append(self._name("global checkpoint", record.round - 1))
        for client, update in record.updates.items():
            if keeps_delta(self.keep, record.round):
                added.append(self._save("client checkpoint", record.round, client, update.model))
            if Need.INFLUENCE in self.keep:
                old = self._influence_artefact(client, known)
                influence = contribution(update.model, record.before, record.weights[client])
                if old is not None:
                    influence += self._load(old)
                    removed.append(old.path)
                added.append(self._save("influence", record.round, client, influence))
        removed += [one.path for one in known.values() if one.kind == "server state"]
        if server_state is not None:
            added.append(self._save_state(record.round, server_state))
        measured = record.updates if Need.NORMS in self.keep else {}
        norms = {client: self.layout.norms(update.model - record.before) for client, update in measured.items()}
        seconds = {"training": record.seconds, "recording": time.perf_counter() - start}
        self.ledger.add_round(record.round, seconds, evaluation, _participation(record), norms, added, removed)
        for path in removed:
            (self.path / path).unlink(missing_ok=True)

    def _save(self, kind: Kind, round: int, client: ClientId | None, vector: Vector) -> Artefact:
        name = self._name(kind, round, client)
        digest = checkpoint.save(self.path / name, vector, self.layout)
        return Artefact(name, kind, client, round, (self.path / name).stat().st_size, digest)

    def append_statistics(
        self,
        model: Vector,
        parts: Mapping[ClientId, Statistics],
        sums: Statistics,
        fit: str,
        seconds: float,
        evaluation: str,
    ) -> None:
        """Record the one round of a closed-form federation.

        Args:
            model: What the sums led to, shape (P,).
            parts: Each client's statistics.
            sums: Of all of them.
            fit: What was chosen, as JSON.
            seconds: What it took.
            evaluation: Of the model, as JSON.
        """
        start = time.perf_counter()
        added = [self._save("global checkpoint", 1, None, model)]
        for client in (None, *sorted(parts)):
            path = self.path / self._name("statistics", 1, client)
            (sums if client is None else parts[client]).save(path)
            added.append(self.entry("statistics", path, client, 1))
        files.write_text(self.path / FIT, fit)
        added.append(self.entry("statistics", self.path / FIT, None, 1))
        whole = sum(part.count for part in parts.values())
        participation = [
            Participation(1, client, part.count, part.count / whole, part.count, 0) for client, part in parts.items()
        ]
        taken = {"training": seconds, "recording": time.perf_counter() - start}
        self.ledger.add_round(1, taken, evaluation, participation, {}, added, [])

    def entry(self, kind: Kind, path: Path, client: ClientId | None = None, round: int | None = None) -> Artefact:
        """A file that is in its place, as the ledger has it."""
        name = path.relative_to(self.path).as_posix()
        return Artefact(name, kind, client, round, path.stat().st_size, sha256_of(path))

    def _save_state(self, round: int, content: bytes) -> Artefact:
        name = self._name("server state", round)
        with written_whole(self.path / name) as aside:
            aside.write_bytes(content)
        return Artefact(name, "server state", None, round, len(content), hashlib.sha256(content).hexdigest())

    def _clear_strays(self) -> None:
        named = {self.path / name for name in self.ledger.artefacts()}
        for folder in FOLDERS.values():
            for path in (self.path / folder).rglob("*"):
                if path.is_file() and path not in named and (path.suffix == ".safetensors" or path.suffix == ASIDE):
                    with suppress(OSError):
                        path.unlink()

    # Reading: the History Protocol

    @property
    def layout(self) -> Layout:
        """See `History.layout`."""
        if self._layout is None:
            self._layout = checkpoint.layout_of(self.path / self._artefact("global checkpoint", 0).path)
        return self._layout

    @property
    def rounds(self) -> int:
        """See `History.rounds`."""
        return self.ledger.rounds()

    @property
    def clean_rounds(self) -> int:
        """See `History.clean_rounds`: all of them."""
        return self.rounds

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`."""
        return {entry.client: entry.weight for entry in self.ledger.participation(round) if entry.weight is not None}

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        return tuple(entry.client for entry in self.ledger.participation(round))

    def initial(self) -> Vector:
        """See `History.initial`."""
        return self._load(self._artefact("global checkpoint", 0))

    def final(self) -> Vector:
        """See `History.final`."""
        return self._load(self._artefact("global checkpoint", self.rounds))

    def final_path(self) -> str:
        """The file of the last global model, relative to the run folder."""
        return self._artefact("global checkpoint", self.rounds).path

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`."""
        self._demand(Need.INFLUENCE)
        artefact = self._influence_artefact(client, self.ledger.artefacts())
        return torch.zeros(self.layout.size) if artefact is None else self._load(artefact)

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        if 0 < round < self.rounds:
            self._demand(Need.GLOBALS)
        return self._load(self._artefact("global checkpoint", round))

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        before = self.initial() if round == 1 else self.global_model(round - 1)
        return self._client_model(round, client) - before

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """See `History.norms`."""
        self._demand(Need.NORMS)
        return self.ledger.norms(round, client)

    def server_state(self) -> bytes | None:
        """What `append` was given with the last round; None if nothing."""
        artefact = self.ledger.artefacts().get(self._name("server state", self.rounds))
        if artefact is None:
            return None
        path = self.path / artefact.path
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != artefact.sha256:
            raise FedletheError(f"{path}: its bytes are not those that the ledger names; restore it from a backup")
        return content

    def replay(self) -> Iterator[RoundRecord]:
        """Every round again, from the initial model and the client checkpoints alone. Needs DELTAS.

        Each `after` is rebuilt, not read: it must equal the global checkpoint of its round, bit for bit.
        """
        self._demand(Need.DELTAS)
        before = self.initial()
        for round in range(1, self.rounds + 1):
            entries = self.ledger.participation(round)
            weights = {entry.client: entry.weight for entry in entries if entry.weight is not None}
            updates = {
                entry.client: Update(
                    client=entry.client,
                    model=self._client_model(round, entry.client),
                    num_examples=entry.num_examples or 0,
                    examples_processed=entry.examples_processed or 0,
                    steps=entry.steps or 0,
                    loss=entry.loss or 0.0,
                )
                for entry in entries
                if entry.refused is None
            }
            refused = {entry.client: entry.refused for entry in entries if entry.refused is not None}
            after = aggregate(before, {client: update.model for client, update in updates.items()}, weights)
            yield RoundRecord(round, before, after, updates, weights, refused, 0.0)
            before = after

    def statistics(self, client: ClientId, name: str | None = None) -> Statistics:
        """What a client sent in a closed-form federation, or the later version of it that is in the file `name`."""
        return self._statistics(name or self._name("statistics", 1, client))

    def statistics_sums(self) -> Statistics | None:
        """The sums of all clients; None where they are not kept any more."""
        name = self._name("statistics", 1)
        return self._statistics(name) if name in self.ledger.artefacts() else None

    def fit(self) -> bytes:
        """What a closed-form training chose, as JSON.

        Raises:
            FedletheError: The run is no closed-form one.
        """
        if FIT not in self.ledger.artefacts():
            raise FedletheError(f"{self.path}: was not trained in closed form (learner 'exact')")
        return (self.path / FIT).read_bytes()

    def _statistics(self, name: str) -> Statistics:
        artefact = self.ledger.artefacts().get(name)
        if artefact is None:
            raise FedletheError(f"{self.path / name}: the ledger does not name it; these statistics are not kept")
        self._demand_bytes(artefact)
        return Statistics.load(self.path / name)

    def erased_model(self, id: str) -> Vector:
        """The model that an erasure led to, shape (P,).

        Raises:
            FedletheError: There is no such erasure, or its file is not the one that the ledger names.
        """
        artefact = self.ledger.artefacts().get(f"erasures/{id}/model.safetensors")
        if artefact is None:
            done = ", ".join(self.ledger.erasures().values()) or "none"
            raise FedletheError(f"{self.path}: there is no erasure '{id}'; its erasures are: {done}")
        return self._load(artefact)

    def repair(self, id: str) -> dict[ClientId, Vector]:
        """What each client's updates added in an erasure's repair rounds, shape (P,)."""
        prefix = f"erasures/{id}/repair/"
        known = self.ledger.artefacts().values()
        return {one.client: self._load(one) for one in known if one.client and one.path.startswith(prefix)}

    def verify(self) -> None:
        """Compare every file with the ledger.

        Raises:
            FedletheError: One is missing or has other bytes; the message names it.
        """
        for artefact in self.ledger.artefacts().values():
            self._demand_bytes(artefact)

    def _demand_bytes(self, artefact: Artefact) -> None:
        path = self.path / artefact.path
        if not path.is_file():
            raise FedletheError(f"{path}: is missing, though the ledger names it; restore it from a backup")
        if sha256_of(path) != artefact.sha256:
            raise FedletheError(f"{path}: its bytes are not those that the ledger names; restore it from a backup")

    def _client_model(self, round: int, client: ClientId) -> Vector:
        if not keeps_delta(self.keep, round):
            raise not_kept(Need.DELTAS)
        return self._load(self._artefact("client checkpoint", round, client))

    def _influence_artefact(self, client: ClientId, known: Mapping[str, Artefact]) -> Artefact | None:
        found = (artefact for artefact in known.values() if (artefact.kind, artefact.client) == ("influence", client))
        return next(found, None)

    def _artefact(self, kind: Kind, round: int, client: ClientId | None = None) -> Artefact:
        name = self._name(kind, round, client)
        artefact = self.ledger.artefacts().get(name)
        if artefact is None:
            raise FedletheError(f"{self.path / name}: the ledger does not name it; the run does not reach that far")
        return artefact

    def _load(self, artefact: Artefact) -> Vector:
        return checkpoint.load(self.path / artefact.path, self.layout, artefact.sha256)

    def _demand(self, need: Need) -> None:
        if need not in self.keep:
            raise not_kept(need)

    @staticmethod
    def _name(kind: Kind, round: int, client: ClientId | None = None) -> str:
        return "/".join([FOLDERS[kind], *([] if client is None else [client]), f"round_{round:04d}.safetensors"])


def _participation(record: RoundRecord) -> list[Participation]:
    accepted = [
        Participation(
            round=record.round,
            client=client,
            num_examples=update.num_examples,
            weight=record.weights[client],
            examples_processed=update.examples_processed,
            steps=update.steps,
            loss=update.loss,
        )
        for client, update in record.updates.items()
    ]
    refused = [Participation(record.round, client, refused=reason) for client, reason in record.refused.items()]
    return accepted + refused
