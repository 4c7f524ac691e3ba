# SPDX-License-Identifier: MIT
"""Flower's own record on this machine: the SuperLink's SQLite file, in which the models of past messages lie.

Flower deletes a message that was delivered, but neither overwrites its bytes nor empties the write-ahead log, and keeps
those that nobody fetched. A purge takes out all that is left of runs that are over, then writes the file anew.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from fedlethe.errors import FedletheError, RequestError

STATE = "FEDLETHE_FLOWER_STATE"
"""In the environment: the file, or several with ':' between; deploy/superlink.sh sets it."""

MEMORY = ":memory:"
"""Where a SuperLink without --database keeps its record."""

MESSAGES = ("message_ins", "message_res", "message", "task_message", "object_push_sessions", "run_objects")
"""Flower's tables of what belongs to a run; each has a column run_id."""

PATIENCE = 30.0
"""Seconds to wait for a SuperLink that is reading or writing."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was done to one file.

    Attributes:
        path: The file.
        removed: Rows that held messages, or parts of models.
        mode: The permissions that it had, where others than its owner could read it; they cannot any more.
        kept: Runs that are under way, whose messages are still there.
    """

    path: Path
    removed: int
    mode: str | None
    kept: tuple[int, ...]

    def __str__(self) -> str:
        mended = "" if self.mode is None else f"; its mode was {self.mode} and is 0600"
        words = f"{self.path}: messages of runs that are over removed, the file written anew, its log emptied"
        return f"{words} ({self.removed} rows){mended}"


def clear_messages(path: Path, own_run: int | None = None) -> Swept:
    """Take the messages of all runs that are over, and of this process's own, out of a SuperLink's file, for good.

    Args:
        path: The file.
        own_run: The Flower run that this process is the server of: all its messages are answered when it purges.
            None where it is of none.

    Formal guarantees:
        When it returns, no page of the file or its write-ahead log holds a byte of them; the SuperLink may be running.
        What the drive keeps of blocks that the file had before is another matter.

    Raises:
        RequestError: It is no file of Flower's, or the SuperLink holds it for longer than PATIENCE.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)) as db:
            # Deleted rows are overwritten, and no copy of them goes to a temporary file.
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA temp_store = MEMORY")
            removed, kept = _deleted(db, path, own_run)
            # Rows that Flower itself deleted before are still in free pages: only a new file has none of them.
            db.execute("VACUUM")
            _empty_log(db, path)
        return Swept(path, removed, _own(path), kept)
    except (sqlite3.Error, OSError) as error:
        raise RequestError(f"{path}: cannot be rid of past messages ({error})") from None


def _deleted(db: sqlite3.Connection, path: Path, own: int | None) -> tuple[int, tuple[int, ...]]:
    """Rows that were deleted, and the runs that are under way."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"task", "objects", "run_objects"} <= tables:
        raise RequestError(f"{path}: is no record of a SuperLink that fedlethe knows")
    before = db.total_changes
    db.execute("BEGIN IMMEDIATE")
    try:
        # Flower's ids have 64 bits without a sign, and SQLite's integers have one.
        signed = None if own is None else own - (1 << 64) if own >= 1 << 63 else own
        kept = {run for (run,) in db.execute("SELECT run_id FROM task WHERE finished_at IS NULL") if run != signed}
        marks = ",".join("?" * len(kept))
        for table in MESSAGES:
            if table in tables:
                db.execute(f"DELETE FROM {table} WHERE run_id NOT IN ({marks})", tuple(kept))
        gone = "SELECT object_id FROM objects WHERE object_id NOT IN (SELECT object_id FROM run_objects)"
        if "object_children" in tables:
            db.execute(f"DELETE FROM object_children WHERE parent_id IN ({gone})")
            db.execute(
                "UPDATE objects SET ref_count = "
                "(SELECT COUNT(*) FROM object_children WHERE child_id = objects.object_id)"
            )
        db.execute("DELETE FROM objects WHERE object_id NOT IN (SELECT object_id FROM run_objects)")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return db.total_changes - before, tuple(sorted(kept))


def _empty_log(db: sqlite3.Connection, path: Path) -> None:
    """Move the write-ahead log into the file and cut it to nothing, once no reader needs it."""
    end = time.monotonic() + PATIENCE
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > end:
            raise RequestError(f"{path}: its write-ahead log is in use; stop the SuperLink and purge again")
        time.sleep(0.2)


def _own(path: Path) -> str | None:
    """Have the file and its logs read by their owner alone; the mode that it had, where that was wider."""
    wide = None
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(name.stat().st_mode)
            if mode & 0o077:
                wide = f"{mode:04o}" if wide is None else wide
                name.chmod(0o600)
    return wide


def told() -> Iterator[str]:
    """Where Flower's record is, as the environment or the command line of the SuperLink that runs this process says."""
    named = os.environ.get(STATE, "")
    yield from (str(Path(one).expanduser().resolve()) for one in named.split(os.pathsep) if one)
    for pid, words in _ancestors(os.getpid()):
        if any(Path(word).name == "flower-superlink" for word in words[:2]):
            yield database(pid, words)


def _ancestors(pid: int) -> Iterator[tuple[int, list[str]]]:
    """The processes that started this one, and theirs: id and command line; none where there is no /proc."""
    with suppress(OSError, ValueError, IndexError):
        while pid > 1:
            place = Path(f"/proc/{pid}")
            yield pid, (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            pid = int((place / "stat").read_text().rpartition(")")[2].split()[1])


def database(pid: int, words: list[str]) -> str:
    """What --database names on the command line of a SuperLink, whose process id it is that `pid` gives."""
    for number, word in enumerate(words):
        if word == "--database" or word.startswith("--database="):
            named = word.partition("=")[2] or words[number + 1]
            if named.startswith("sqlite:///"):
                named = named.removeprefix("sqlite:///")
            if not named or named.startswith(":"):
                return MEMORY
            return named if "://" in named else str((Path(f"/proc/{pid}/cwd").readlink() / named).resolve())
    return MEMORY


def local() -> Path:
    """Where `flwr run` without a server keeps the record of the SuperLink that it starts itself."""
    return Path(os.environ.get("FLWR_HOME") or Path.home() / ".flwr") / "local-superlink" / "state.db"


def clear_all_messages(paths: Iterable[str], own_run: int | None = None) -> tuple[list[str], list[str]]:
    """Sweep what is on this machine of these places: what was done, and what could not be reached, in words.

    Args:
        paths: The places.
        own_run: See `clear_messages`.
    """
    done, missed = [], []
    for name in dict.fromkeys(paths):
        path = Path(name)
        if name == MEMORY:
            missed.append("Flower's record in the memory of its SuperLink: it goes when that process ends")
        elif not path.is_file():
            missed.append(f"Flower's record {name}: is not on this machine any more, or was moved")
        else:
            try:
                swept = clear_messages(path, own_run)
            except FedletheError as error:
                missed.append(f"Flower's record {error}")
                continue
            done.append(str(swept))
            missed += [f"{path}: Flower's run {run % (1 << 64)} is under way; its messages stay" for run in swept.kept]
    return done, missed
