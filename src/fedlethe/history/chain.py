# SPDX-License-Identifier: MIT
"""An append-only log in SQLite whose rows are chained by their hashes: what was written cannot be changed unseen.

Each row's hash is SHA-256 over the hash of the row before it and the row itself, so a row that is changed, taken out
or put elsewhere breaks the chain at its place. That rows are missing at the end shows against a head (number and hash
of the last row) that is kept elsewhere: one lies beside the file, NAME.head, and every certificate holds one.

What it does not show: whoever can write the folder can make a whole chain anew, and the head beside it. Against that
there are the heads in certificates that others hold.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fedlethe.errors import FedletheError, IntegrityError
from fedlethe.files import write_text
from fedlethe.history.sqlite_file import BESIDE, MADE, connected, header_is_whole, make_log

Body: TypeAlias = Mapping[str, Any]

BEFORE_ALL = "0" * 64
"""Stands for the hash of the row before the first."""

_RESTORE = "restore it from a backup"


@dataclass(frozen=True, slots=True)
class Event:
    """One row.

    Attributes:
        seq: Counted from 1, without gaps.
        at: When it was written: UTC, ISO 8601, never before the row above it.
        kind: What happened.
        body: The rest, plain values.
        hash: Of the row and all before it, hexadecimal.
    """

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last row of a chain: its number and its hash."""

    seq: int = 0
    hash: str = BEFORE_ALL


def canonical(value: Any) -> str:
    """The same JSON text for the same value: keys sorted, no blanks, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def row_hash(previous: str, seq: int, at: str, kind: str, body: str) -> str:
    """SHA-256 of a row, its body as it is stored, and of the hash before it; hexadecimal."""
    return hashlib.sha256(canonical([previous, seq, at, kind, body]).encode()).hexdigest()


def clock() -> str:
    """Now, as rows have it."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")


class Chain:
    """One file (write-ahead log); `append` is one transaction, durable when it returns.

    Args:
        path: The file; it is made if it is missing and `create` is true.
        create: Whether it may be made.

    Raises:
        FedletheError: The file is missing, a link, no such log, or cannot be opened.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        if not create and not path.is_file():
            raise IntegrityError(f"{path}: the ledger is missing, so nothing of this run can be trusted; restore it")
        self.path = path
        self._anchor_path = path.with_suffix(".head")
        for beside in (path, self._anchor_path, *(path.with_name(path.name + ending) for ending in BESIDE)):
            if beside.is_symlink():
                raise IntegrityError(f"{beside}: is a link, which would be written through; put the file in its place")
        with self._errors():
            if create and not path.exists():
                # The head first: a ledger without one would be taken for one whose last rows were cut off.
                write_text(self._anchor_path, _anchor_text(ChainHead()))
                make_log(path)
            self._db = connected(path)
        try:
            with self._errors():
                # With less than FULL a write-ahead log is synced at checkpoints only: a commit could be lost.
                self._db.execute("PRAGMA synchronous = FULL")
                tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "events" not in tables:
                raise IntegrityError(f"{path}: is no ledger, or that of an older fedlethe; train the run again")
        except FedletheError:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def read(self, after: ChainHead) -> list[Event]:
        """The rows after a head, each checked against the hash before it.

        Raises:
            FedletheError: A row is not the one that was written, or is missing; the message names the first.
        """
        anchor = after if after.seq else self.anchor()  # once is enough: what was read is known to be there
        events, last = [], after
        with self._errors():
            rows = "SELECT seq, at, kind, body, hash FROM events WHERE seq > ? ORDER BY seq"
            for seq, at, kind, body, hash in self._db.execute(rows, (last.seq,)):
                # A STRICT table holds text only, but whoever edits the file's bytes is not held to that.
                if not all(isinstance(text, str) for text in (at, kind, body, hash)):
                    raise self._broken(seq, "is not made of text")
                if seq != last.seq + 1:
                    raise self._broken(last.seq + 1, f"is missing (row {seq} follows row {last.seq})")
                if hash != row_hash(last.hash, seq, at, kind, body):
                    raise self._broken(seq, "is not what was written, or not in its place")
                events.append(Event(seq, at, kind, self._value(seq, body), hash))
                last = ChainHead(seq, hash)
                # A chain that was made anew from here on is whole in itself; the head beside it is of the old one.
                if seq == anchor.seq and hash != anchor.hash:
                    raise self._broken(seq, f"is not the one that {self._anchor_path.name} names")
        if last.seq < anchor.seq:
            raise self._broken(last.seq + 1, f"is missing ({self._anchor_path.name} names row {anchor.seq})")
        return events

    def append(
        self, last: ChainHead, at: str, entries: Sequence[tuple[str, Body]], demand: Callable[[Event], object] = bool
    ) -> list[Event]:
        """Add rows after `last`, which must be the last one: all of them, or none.

        Args:
            last: The head that the caller knows.
            at: The time; the time of the row before is taken where that is later.
            entries: Kind and body of each.
            demand: Raises where a row could not be read again; then none is written.

        Raises:
            FedletheError: What `demand` raises; the disk is full, the file read only, or another process added rows.
        """
        events = []
        with self._transaction():
            found = self._db.execute("SELECT max(seq), max(at) FROM events").fetchone()
            if (found[0] or 0) != last.seq:
                raise IntegrityError(f"{self.path}: another process has written to it; run the command again")
            at = max(at, found[1] or at)  # a clock that was set back must not put rows out of order
            for kind, body in entries:
                text = canonical(body)
                hash = row_hash(last.hash, last.seq + 1, at, kind, text)
                event = Event(last.seq + 1, at, kind, json.loads(text), hash)
                demand(event)
                self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (event.seq, at, kind, text, hash))
                events.append(event)
                last = ChainHead(event.seq, hash)
        # After the commit: a crash in between leaves a head that is behind, which `catch_up` mends. The other way
        # round it would name rows that are not there, and the ledger would be refused as cut off.
        write_text(self._anchor_path, _anchor_text(last))
        return events

    def damage(self) -> Iterator[str]:
        """What is wrong with the file beside its rows: in SQLite's own book-keeping, or in what guards the rows.

        Bytes that SQLite does not use (free pages, gaps in pages) hold nothing, and are not looked at.
        """
        with self._errors():
            found = [row[0] for row in self._db.execute("PRAGMA integrity_check(1)")]
            written = self._db.execute(
                "SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid"
            ).fetchall()
        if found != ["ok"]:
            yield f"{self.path}: its pages are damaged ({' '.join(found[0].split())}); {_RESTORE}"
        if written != MADE:
            yield f"{self.path}: its table or what keeps rows from being changed is not as it was made; {_RESTORE}"
        # While rows are in the log the header is that of before them, and does not fit the file's length.
        log = self.path.with_name(f"{self.path.name}-wal")
        if not (log.exists() and log.stat().st_size) and not header_is_whole(self.path):
            yield f"{self.path}: its header is not one that this program writes; {_RESTORE}"

    def catch_up(self, last: ChainHead) -> None:
        """Write the head beside the file where a kill or a full disk left it behind the last row, `last`."""
        if self.anchor() != last:
            write_text(self._anchor_path, _anchor_text(last))

    def anchor(self) -> ChainHead:
        """The head that lies beside the file.

        Raises:
            FedletheError: It is missing or no head.
        """
        try:
            text = self._anchor_path.read_text(encoding="ascii")
            seq, hash = text.split()
            head = ChainHead(int(seq), hash)
            if text != _anchor_text(head):
                raise ValueError  # the same to a reader, but not what was written
            return head
        except (OSError, ValueError):
            raise IntegrityError(
                f"{self._anchor_path}: is missing or damaged, so rows may have been taken off the ledger's end; "
                "restore it from a backup"
            ) from None

    def _value(self, seq: int, body: str) -> dict[str, Any]:
        """What a body holds, if it is written as `append` writes: no NaN, no field twice, one object."""
        try:
            value = json.loads(body)
            if isinstance(value, dict) and canonical(value) == body:
                return value
        except (ValueError, RecursionError):
            pass
        raise self._broken(seq, "does not hold one JSON object, written as this program writes it")

    def _broken(self, seq: int, what: str) -> FedletheError:
        return IntegrityError(f"{self.path}: row {seq} {what}; the ledger was changed: restore it from a backup")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk can have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter from a message that quotes damaged bytes
            hint = "make room, or restore it from a backup if it is damaged"
            if self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
                hint = f"this user cannot read and write it: chmod u+rw {self.path}"
            raise IntegrityError(f"{self.path}: the ledger cannot be used ({error}); {hint}") from None


def _anchor_text(head: ChainHead) -> str:
    return f"{head.seq} {head.hash}\n"
