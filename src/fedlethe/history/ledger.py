# SPDX-License-Identifier: MIT
"""The ledger of a run: what happened, and every file's SHA-256. What it does not name does not exist."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from fedlethe.errors import FedletheError
from fedlethe.types import ClientId

NOT_EVALUATED = "null"
"""Stands for the evaluation of a round's model that nobody asked for."""

Kind: TypeAlias = Literal[
    "global checkpoint", "client checkpoint", "influence", "statistics", "erasure", "nodes", "server state"
]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (
  round INTEGER PRIMARY KEY, seconds REAL NOT NULL, recording_seconds REAL NOT NULL, evaluation TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS participation (
  round INTEGER NOT NULL, client TEXT NOT NULL, num_examples INTEGER, weight REAL, examples_processed INTEGER,
  steps INTEGER, loss REAL, refused TEXT, PRIMARY KEY (round, client)
) STRICT;
CREATE TABLE IF NOT EXISTS norms (
  round INTEGER NOT NULL, client TEXT NOT NULL, norms TEXT NOT NULL, PRIMARY KEY (round, client)
) STRICT;
CREATE TABLE IF NOT EXISTS artefacts (
  path TEXT PRIMARY KEY, kind TEXT NOT NULL, client TEXT, round INTEGER, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS erasures (
  id TEXT PRIMARY KEY, request TEXT NOT NULL UNIQUE, completed TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the run.

    Attributes:
        path: Relative to the run folder.
        client: Whose it is; None if it is the federation's.
        round: After which round; None if it belongs to none.
        bytes: Its length.
    """

    path: str
    kind: Kind
    client: ClientId | None
    round: int | None
    bytes: int
    sha256: str


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


class Ledger:
    """One SQLite file (write-ahead log); every method is one transaction, durable when it returns.

    Args:
        path: The file; it is made if it is missing and `create` is true.
        create: Whether it may be made.

    Raises:
        FedletheError: The file is missing, not a ledger, or cannot be written.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        if not create and not path.is_file():
            raise FedletheError(f"{path}: the ledger is missing, so nothing of this run can be trusted; restore it")
        self.path = path
        with self._errors():
            self._db = sqlite3.connect(path, isolation_level=None)
        try:
            with self._errors():
                if create:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    self._db.execute("PRAGMA synchronous = FULL")
                    self._db.executescript(_SCHEMA)
                else:
                    self._db.execute("SELECT 1 FROM rounds, artefacts, erasures LIMIT 1")
        except FedletheError:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def rounds(self) -> int:
        """How many rounds are complete."""
        with self._errors():
            return int(self._db.execute("SELECT count(*) FROM rounds").fetchone()[0])

    def evaluations(self) -> dict[int, str]:
        """Round to the evaluation of its global model, as it was given; of the rounds that were evaluated."""
        with self._errors():
            rows = self._db.execute("SELECT round, evaluation FROM rounds ORDER BY round").fetchall()
        return {round: evaluation for round, evaluation in rows if evaluation != NOT_EVALUATED}

    def seconds(self) -> tuple[float, float]:
        """Wall time of training, and of recording it, over all rounds."""
        with self._errors():
            row = self._db.execute("SELECT total(seconds), total(recording_seconds) FROM rounds").fetchone()
        return float(row[0]), float(row[1])

    def participation(self, round: int | None = None) -> list[Participation]:
        """Who took part, by round and client; of one round, or of all."""
        with self._errors():
            rows = self._db.execute(
                "SELECT * FROM participation WHERE ?1 IS NULL OR round = ?1 ORDER BY round, client", (round,)
            )
            return [Participation(*row) for row in rows]

    def norms(self, round: int, client: ClientId) -> dict[str, float]:
        """The norm of each named tensor of a client's delta.

        Raises:
            FedletheError: There is no record of it.
        """
        with self._errors():
            row = self._db.execute("SELECT norms FROM norms WHERE round = ? AND client = ?", (round, client)).fetchone()
        if row is None:
            raise FedletheError(f"{self.path}: holds no norms of {client} in round {round}")
        norms: dict[str, float] = json.loads(row[0])
        return norms

    def artefacts(self) -> dict[str, Artefact]:
        """Every file of the run, by its path."""
        with self._errors():
            return {row[0]: Artefact(*row) for row in self._db.execute("SELECT * FROM artefacts ORDER BY path")}

    def erasures(self) -> dict[str, str]:
        """Request (canonical JSON) to the id of the erasure that carried it out, in the order of the ids."""
        with self._errors():
            return dict(self._db.execute("SELECT request, id FROM erasures ORDER BY id").fetchall())

    def add_artefacts(self, added: Iterable[Artefact]) -> None:
        """Enter files that are in their place."""
        with self._transaction():
            self._enter(added, ())

    def add_round(
        self,
        round: int,
        seconds: Mapping[str, float],
        evaluation: str,
        participation: Sequence[Participation],
        norms: Mapping[ClientId, Mapping[str, float]],
        added: Iterable[Artefact],
        removed: Iterable[str],
    ) -> None:
        """Enter a complete round: all of it, or nothing."""
        with self._transaction():
            row = (round, seconds["training"], seconds["recording"], evaluation)
            self._db.execute("INSERT INTO rounds VALUES (?, ?, ?, ?)", row)
            rows = [tuple(getattr(entry, name) for name in Participation.__slots__) for entry in participation]
            self._db.executemany("INSERT INTO participation VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            texts = [(round, client, json.dumps(held)) for client, held in norms.items()]
            self._db.executemany("INSERT INTO norms VALUES (?, ?, ?)", texts)
            self._enter(added, removed)

    def add_erasure(self, id: str, request: str, completed: str, added: Iterable[Artefact]) -> None:
        """Enter a complete erasure and its files: all of it, or nothing."""
        with self._transaction():
            self._db.execute("INSERT INTO erasures VALUES (?, ?, ?)", (id, request, completed))
            self._enter(added, ())

    def _enter(self, added: Iterable[Artefact], removed: Iterable[str]) -> None:
        self._db.executemany("DELETE FROM artefacts WHERE path = ?", [(path,) for path in removed])
        rows = [tuple(getattr(artefact, name) for name in Artefact.__slots__) for artefact in added]
        self._db.executemany("INSERT INTO artefacts VALUES (?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = "make room, or restore it from a backup if it is damaged"
            raise FedletheError(f"{self.path}: the ledger cannot be used ({error}); {hint}") from None
