# SPDX-License-Identifier: MIT
"""The SQLite file that a chain of rows lies in: made whole, opened also where nothing can be written, checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from fedlethe.files import written_whole

SCHEMA = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, "
    "hash TEXT NOT NULL) STRICT",
    "CREATE TRIGGER unchanged BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER undeleted BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
)

MADE = [
    (1, "table", "events", "events", 2, SCHEMA[0]),
    (2, "trigger", "unchanged", "events", 0, SCHEMA[1]),
    (3, "trigger", "undeleted", "events", 0, SCHEMA[2]),
]
"""What SQLite keeps of it: number, type, name, table, first page, statement."""

BESIDE = ("-journal", "-wal", "-shm")
"""Ends the names of the files that SQLite makes beside its own."""


def connected(path: Path) -> sqlite3.Connection:
    """The file, open; in a folder that cannot be written, to read.

    Raises:
        sqlite3.Error: It is no SQLite file, or its log cannot be read.
    """
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        database.close()
        log = path.with_name(f"{path.name}-wal")
        # Rows can be in the log alone: without it they would be missing from what is read, and nobody would know.
        if not path.is_file() or (log.exists() and log.stat().st_size):
            raise
        # In a folder that cannot be written the log's index cannot be made: read the file as it stands.
        database = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", isolation_level=None, uri=True)
    except BaseException:
        database.close()
        raise
    return database


def make_log(path: Path) -> None:
    """An empty log, whole or not at all: a file that is there but holds no table would be taken for a damaged one."""
    with written_whole(path) as aside:
        try:
            with closing(sqlite3.connect(aside, isolation_level=None)) as database:
                for statement in SCHEMA:
                    database.execute(statement)
                if database.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                    raise sqlite3.OperationalError("it takes no write-ahead log")  # which SQLite itself keeps quiet
        finally:
            for ending in BESIDE:
                aside.with_name(aside.name + ending).unlink(missing_ok=True)


def header_is_whole(path: Path) -> bool:
    """Whether the first 100 bytes are such as `make_log` and appends leave (https://www.sqlite.org/fileformat.html)."""
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18], "big")
    number = {place: int.from_bytes(head[place : place + 4], "big") for place in (24, 28, 40, 44, 56, 92, 96)}
    return (
        head[:16] == b"SQLite format 3\0"
        and head[18:24] == bytes([2, 2, 0, 64, 32, 32])  # write-ahead log, nothing reserved, three fixed numbers
        and page * number[28] == path.stat().st_size
        and number[24] == number[92]  # the count of changes, and that for which the next number holds
        and 3_000_000 <= number[96] < 4_000_000  # the version of SQLite that wrote last
        and (number[40], number[44], number[56]) == (len(SCHEMA), 4, 1)  # changes of the tables, format, UTF-8
        and not any((*head[48:56], *head[60:92]))
    )
