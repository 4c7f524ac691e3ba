# SPDX-License-Identifier: MIT
"""The ledger of a run: what happened, and every file's SHA-256. What it does not name does not exist.

It is an append-only chain of rows (see `chain`); what holds now is what its rows, read in their order, lead to:

    run             the run's id, drawn at random, and the format
    began           which erasure's model the training began from, whom it left out and whom it took back
    round           one complete round
    participation   what one client did in a round
    artefact        a file came to be in its place
    removed         a file is gone: what is left of it is this row and its hash
    erasure         an erasure was completed
    key             a client's key was made, or destroyed
    request, state  an erasure request was opened; what became of it
    purge           what was kept of its clients is gone, with the tombstones above it
    elsewhere       what a purge did outside the run folder, and what it could not reach there
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fedlethe.errors import FedletheError
from fedlethe.history import chain, rows
from fedlethe.history.chain import Body, Chain, ChainHead, Event
from fedlethe.types import ClientId

NOT_EVALUATED = "null"
"""Stands for the evaluation of a round's model that nobody asked for."""

ArtefactKind: TypeAlias = Literal[
    "configuration",
    "picture",
    "study",
    "answers",
    "global checkpoint",
    "client delta",
    "norms",
    "influence",
    "statistics",
    "erasure",
    "nodes",
    "server state",
]

BEGAN, ELSEWHERE = "began", "elsewhere"

FORMAT = 1
"""Of the rows: raised when they change."""

REPLACED = "replaced by a later one"
"""Why a file is gone that a later round made superfluous."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the run.

    Attributes:
        path: Relative to the run folder.
        client: Whose state it is; None if it is the federation's.
        round: After which round; None if it belongs to none.
        bytes: Its length.
    """

    path: str
    kind: ArtefactKind
    client: ClientId | None
    round: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a file that is gone.

    Attributes:
        artefact: As it was.
        at: When it went.
        because: Why.
    """

    artefact: Artefact
    at: str
    because: str


@dataclass(frozen=True, slots=True)
class Participation:
    """What one client did in one round; `refused` is the reason if its update was not taken."""

    round: int
    client: ClientId
    num_examples: int | None = None
    weight: float | None = None
    examples_processed: int | None = None
    steps: int | None = None
    loss: float | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Round:
    seconds: float
    recording_seconds: float
    evaluation: str


@dataclass
class _State:
    """What the rows up to `head` lead to."""

    head: ChainHead = field(default_factory=ChainHead)
    at: str = ""
    run_id: str = ""
    rounds: dict[int, _Round] = field(default_factory=dict)
    participation: dict[int, list[Participation]] = field(default_factory=dict)
    artefacts: dict[str, Artefact] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    erasures: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[ClientId, str], bool] = field(default_factory=dict)
    others: list[Event] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    requests: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Of each request whether its rows so far named a plan, an erasure and a purge."""

    def contradicts(self, event: Event) -> str | None:
        """How a row contradicts those before it; None where it does not."""
        body, known = event.body, self.keys
        if event.kind == "round" and body["round"] != len(self.rounds) + 1:
            return f"is of round {body['round']}, after {len(self.rounds)} rounds"
        if event.kind == "artefact" and body["path"] in self.artefacts:
            return f"enters {body['path']}, which is entered already"
        if event.kind == "removed" and body["path"] not in self.artefacts:
            return f"removes {body['path']}, which is not there"
        if event.kind == "erasure" and body["id"] != f"{len(self.erasures) + 1:04d}":
            return f"enters erasure {body['id']}, after {len(self.erasures)} erasures"
        if event.kind == "request" and body["id"] != f"R{sum(one.kind == 'request' for one in self.others) + 1:04d}":
            return f"opens request {body['id']}, which is not the next"
        if event.kind in ("state", "purge") and (id := body.get("erasure")) and id not in self.erasures.values():
            return f"is of erasure {id}, which is not above it"
        if event.kind == "state":
            return self._state_contradicts(body)
        if event.kind == "key":
            key = (body["client"], body["id"])
            if (body["what"] == "made") == (key in known):
                return f"has the key {body['client']}.{body['id']} {body['what']}, which it cannot be by the rows above"
            if body["what"] == "destroyed" and not known[key]:
                return f"destroys the key {body['client']}.{body['id']} again"
        return None

    def _state_contradicts(self, body: Body) -> str | None:
        """Why a request cannot have come to be in a state, by what its rows named before."""
        if body["request"] not in self.requests:
            return f"is of request {body['request']}, which was never opened"
        named = {name: held or body.get(name) is not None for name, held in self.requests[body["request"]].items()}
        needs = {"running": ("plan",), "audited": ("plan", "erasure"), "completed": ("plan", "erasure", "purge")}
        missing = [name for name in needs.get(body["state"], ()) if not named[name]]
        return f"has a request {body['state']} without its {missing[0]}" if missing else None

    def take(self, event: Event) -> None:
        body = event.body
        if event.kind == "round":
            self.rounds[body["round"]] = _Round(body["seconds"], body["recording_seconds"], body["evaluation"])
        elif event.kind == "participation":
            self.participation.setdefault(body["round"], []).append(Participation(**body))
        elif event.kind == "artefact":
            self.artefacts[body["path"]] = Artefact(**body)
            self.tombstones.pop(body["path"], None)
        elif event.kind == "removed":
            gone = self.artefacts.pop(body["path"])
            self.tombstones[gone.path] = Tombstone(gone, event.at, body["because"])
        elif event.kind == "erasure":
            self.erasures[body["request"]] = body["id"]
        elif event.kind == "run":
            self.run_id = body["id"]
        else:
            if event.kind == "key":
                self.keys[body["client"], body["id"]] = body["what"] in ("made", "lost")  # a lost one can be found
            if event.kind == "request":
                self.requests[body["id"]] = {"plan": False, "erasure": False, "purge": False}
            if event.kind == "state":
                self._take_state(body)
            self.others.append(event)
        self.hashes.append(event.hash)
        self.head, self.at = ChainHead(event.seq, event.hash), event.at

    def _take_state(self, body: Body) -> None:
        named = self.requests[body["request"]]
        if body["state"] == "running":  # begun anew: the erasure before is not its any more
            named["erasure"] = False
        for name in named:
            named[name] = named[name] or body.get(name) is not None


class Ledger:
    """The ledger in one file; every method that writes is one transaction, durable when it returns.

    Args:
        path: The file; it is made if it is missing and `create` is true.
        create: Whether it may be made.

    Raises:
        FedletheError: The file is missing, not a ledger, was changed, or cannot be written.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self._chain = Chain(path, create)
        self._known = _State()
        try:
            if create and not self.head().seq:
                self.append([("run", {"id": secrets.token_hex(16), "format": FORMAT})])
            else:
                self._state()
        except BaseException:
            self._chain.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._chain.close()

    def _state(self) -> _State:
        try:
            for event in self._chain.read(self._known.head):
                if (found := rows.problem(event) or self._known.contradicts(event)) is not None:
                    raise FedletheError(
                        f"{self.path}: row {event.seq} ({event.kind[:40]}) {found}; use a newer fedlethe if one wrote "
                        "it, else the ledger was changed: restore it from a backup"
                    )
                self._known.take(event)
        except (KeyError, TypeError):
            row = self._known.head.seq + 1
            raise FedletheError(f"{self.path}: row {row} cannot be understood; use a newer fedlethe") from None
        return self._known

    # Reading

    def head(self) -> ChainHead:
        """The number and the hash of the last row."""
        return self._state().head

    def hash_of(self, seq: int) -> str | None:
        """The hash of a row; None where there is none."""
        hashes = self._state().hashes
        return hashes[seq - 1] if 0 < seq <= len(hashes) else None

    def latest(self) -> str:
        """When the last row was written."""
        return self._state().at

    @property
    def run_id(self) -> str:
        """Drawn at random when the ledger was made: no two runs have the same chain."""
        return self._state().run_id

    def rounds(self) -> int:
        """How many rounds are complete."""
        return len(self._state().rounds)

    def evaluations(self) -> dict[int, str]:
        """Round to the evaluation of its global model, as it was given; of the rounds that were evaluated."""
        held = sorted(self._state().rounds.items())
        return {round: one.evaluation for round, one in held if one.evaluation != NOT_EVALUATED}

    def seconds(self) -> tuple[float, float]:
        """Wall time of training, and of recording it, over all rounds."""
        held = self._state().rounds.values()
        return sum(round.seconds for round in held), sum(round.recording_seconds for round in held)

    def participation(self, round: int | None = None) -> list[Participation]:
        """Who took part, by round and client; of one round, or of all."""
        held = self._state().participation
        chosen = sorted(held) if round is None else [round]
        return [entry for one in chosen for entry in sorted(held.get(one, ()), key=lambda entry: entry.client)]

    def artefacts(self) -> dict[str, Artefact]:
        """Every file of the run, by its path."""
        return dict(sorted(self._state().artefacts.items()))

    def tombstones(self) -> dict[str, Tombstone]:
        """What is left of the files that are gone, by their path."""
        return dict(sorted(self._state().tombstones.items()))

    def erasures(self) -> dict[str, str]:
        """Request (canonical JSON) to the id of the erasure that carried it out, in the order of the ids."""
        return dict(sorted(self._state().erasures.items(), key=lambda pair: pair[1]))

    def events(self, *kinds: str) -> list[Event]:
        """The rows of these kinds (none of rounds, files and erasures), in their order."""
        return [event for event in self._state().others if event.kind in kinds]

    def damage(self) -> Iterator[str]:
        """What is wrong with its file beside its rows."""
        return self._chain.damage()

    # Writing

    def catch_up(self) -> None:
        """Write the head that lies beside the ledger where a kill or a full disk left it behind."""
        self._chain.catch_up(self.head())

    def append(self, entries: Sequence[tuple[str, Body]]) -> list[Event]:
        """Add rows, kind and body of each: all of them, or none."""
        added = self._chain.append(self._state().head, chain.clock(), entries)
        for event in added:
            self._known.take(event)
        return added

    def add_artefacts(self, added: Iterable[Artefact]) -> None:
        """Enter files that are in their place."""
        self.append(_entered(added))

    def add_round(
        self,
        round: int,
        seconds: Mapping[str, float],
        evaluation: str,
        participation: Iterable[Participation],
        added: Iterable[Artefact],
        replaced: Iterable[str],
    ) -> None:
        """Enter a complete round: all of it, or nothing."""
        times = {"seconds": seconds["training"], "recording_seconds": seconds["recording"]}
        entries: list[tuple[str, Body]] = [("round", {"round": round, "evaluation": evaluation, **times})]
        entries += [("participation", _plain(entry)) for entry in participation]
        self.append([*entries, *removals(replaced, REPLACED), *_entered(added)])

    def add_erasure(
        self, id: str, request: str, added: Iterable[Artefact], also: Sequence[tuple[str, Body]] = ()
    ) -> None:
        """Enter a complete erasure, its files and what else became true with it: all of it, or nothing."""
        self.append([("erasure", {"id": id, "request": request}), *_entered(added), *also])


def demand_as_entered(folder: Path, name: str, content: bytes) -> None:
    """Refuse a file of a run folder whose bytes are not those that the ledger names; before the first file, take it.

    Args:
        folder: The run folder.
        name: The file's path in it.
        content: What it holds.

    Raises:
        FedletheError: The bytes are others, the ledger names other files and not this one, or it was changed itself.
    """
    if not (folder / "ledger.db").is_file():
        return
    ledger = Ledger(folder / "ledger.db")
    try:
        known = ledger.artefacts()
    finally:
        ledger.close()
    if known and (name not in known or known[name].sha256 != hashlib.sha256(content).hexdigest()):
        raise FedletheError(
            f"{folder / name}: its bytes are not those that the ledger names; restore this file from a backup"
        )


def removals(paths: Iterable[str], because: str) -> list[tuple[str, Body]]:
    """The rows that take files out of the ledger, and leave tombstones."""
    return [("removed", {"path": path, "because": because}) for path in paths]


def _entered(artefacts: Iterable[Artefact]) -> list[tuple[str, Body]]:
    return [("artefact", asdict(artefact)) for artefact in artefacts]


def _plain(entry: Participation) -> dict[str, Any]:
    known = {name: value for name, value in asdict(entry).items() if value is not None}
    return {name: value for name, value in known.items() if not isinstance(value, float) or math.isfinite(value)}
