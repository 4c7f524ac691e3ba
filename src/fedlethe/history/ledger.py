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
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fedlethe.errors import IntegrityError
from fedlethe.history import chain, rows
from fedlethe.history.chain import Body, Chain, ChainHead, Event
from fedlethe.history.entries import (
    NOT_EVALUATED,
    REPLACED,
    Artefact,
    Participation,
    Tombstone,
    entries_of,
    plain_entry,
    removals,
)
from fedlethe.history.ledger_state import LedgerState

FORMAT = 1
"""Of the rows: raised when they change."""


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
        self._known = LedgerState()
        try:
            if create and not self.head().seq:
                # The id makes this chain unlike every other from its first row on, so no row of another run fits in.
                self.append([("run", {"id": secrets.token_hex(16), "format": FORMAT})])
            else:
                self._state()
        except BaseException:
            self._chain.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._chain.close()

    def _state(self) -> LedgerState:
        # Rows never change, so each call reads on from where the last one ended. It does read: another process (a
        # Flower server, a second terminal) can have written since.
        try:
            for event in self._chain.read(self._known.head):
                if (found := rows.problem(event) or self._known.contradicts(event)) is not None:
                    raise IntegrityError(
                        f"{self.path}: row {event.seq} ({event.kind[:40]}) {found}; use a newer fedlethe if one wrote "
                        "it, else the ledger was changed: restore it from a backup"
                    )
                self._known.take(event)
        except (KeyError, TypeError):  # a field that this version does not know, or lacks
            row = self._known.head.seq + 1
            raise IntegrityError(f"{self.path}: row {row} cannot be understood; use a newer fedlethe") from None
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

    def artefacts_at(self, seq: int) -> dict[str, Artefact]:
        """Every file of the run by its path, as it was when this row was the last."""
        then = LedgerState()
        for event in self._chain.read(ChainHead()):
            if event.seq <= seq:
                then.take(event)
        return dict(sorted(then.artefacts.items()))

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
        """Add rows, kind and body of each: all of them, or none.

        Raises:
            FedletheError: See `Chain.append`; a row that could not be read again would close the run for good.
        """
        added = self._chain.append(self._state().head, chain.clock(), entries, self._demand_readable)
        for event in added:
            self._known.take(event)
        return added

    def _demand_readable(self, event: Event) -> None:
        if (found := rows.problem(event)) is not None:
            raise IntegrityError(f"{self.path}: a row ({event.kind[:40]}) {found}; it was not written")

    def add_artefacts(self, added: Iterable[Artefact]) -> None:
        """Enter files that are in their place."""
        self.append(entries_of(added))

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
        # One transaction: after a crash the round is there with all of its files, or it is trained again.
        times = {"seconds": seconds["training"], "recording_seconds": seconds["recording"]}
        entries: list[tuple[str, Body]] = [("round", {"round": round, "evaluation": evaluation, **times})]
        entries += [("participation", plain_entry(entry)) for entry in participation]
        self.append([*entries, *removals(replaced, REPLACED), *entries_of(added)])

    def add_erasure(
        self, id: str, request: str, added: Iterable[Artefact], also: Sequence[tuple[str, Body]] = ()
    ) -> None:
        """Enter a complete erasure, its files and what else became true with it: all of it, or nothing."""
        self.append([("erasure", {"id": id, "request": request}), *entries_of(added), *also])


def demand_as_entered(folder: Path, name: str, content: bytes) -> None:
    """Refuse a file of a run folder whose bytes are not those that the ledger names; before the first file, take it.

    Args:
        folder: The run folder.
        name: The file's path in it.
        content: What it holds.

    Raises:
        FedletheError: The bytes are others, the ledger names other files and not this one, or it was changed itself.
    """
    # A configuration is written, and read, before there is a ledger; from then on it decides what a run is.
    if not (folder / "ledger.db").is_file():
        return
    ledger = Ledger(folder / "ledger.db")
    try:
        known = ledger.artefacts()
    finally:
        ledger.close()
    if known and (name not in known or known[name].sha256 != hashlib.sha256(content).hexdigest()):
        raise IntegrityError(
            f"{folder / name}: its bytes are not those that the ledger names; restore this file from a backup"
        )
