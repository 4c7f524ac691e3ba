# SPDX-License-Identifier: MIT
"""What a purge does with Flower's own record of messages: files that Flower's code wrote, searched for slices."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array
from flwr.server.superlink.linkstate.sql_linkstate import SqlLinkState
from flwr.supercore.constant import TaskType
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store.sql_object_store import SqlObjectStore
from flwr.superlink.federation.noop_federation_manager import NoOpFederationManager

from fedlethe.errors import FedletheError
from fedlethe.requests import superlink_state
from fedlethe.requests.superlink_state import clear_all_messages, clear_messages, told
from tests.flower.flower_record import slices

pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")  # of Flower's migrations


class SuperLink:
    """The record of a SuperLink, by Flower's own code."""

    def __init__(self, path: Path) -> None:
        self.objects = SqlObjectStore(str(path))
        self.objects.initialize()
        self.state = SqlLinkState(str(path), NoOpFederationManager(), self.objects)
        self.state.initialize()

    def run(self) -> int:
        return self.state.create_run("app", "1", "hash", {}, "@none/default", None, None, TaskType.SERVER_APP)

    def send(self, run: int, model: bytes) -> None:
        """Have a model lie there as one of a message that was not fetched."""
        array = Array(np.frombuffer(model, np.float32))
        nested = get_all_nested_objects(array)
        self.objects.preregister(run, get_object_tree(array))
        for id, one in nested.items():
            self.objects.put(id, one.deflate())

    def finish(self, run: int) -> None:
        with sqlite3.connect(self.path) as db:
            db.execute(
                "UPDATE task SET finished_at = '2026-01-01 00:00:00' WHERE run_id = ?", (run - (run >> 63 << 64),)
            )

    @property
    def path(self) -> str:
        return self.objects.database_url.removeprefix("sqlite:///")

    def close(self) -> None:
        for part in (self.state, self.objects):
            assert part._engine is not None
            part._engine.dispose()


@contextmanager
def superlink(path: Path) -> Iterator[SuperLink]:
    link = SuperLink(path)
    try:
        yield link
    finally:
        link.close()


def model(seed: int) -> bytes:
    return np.random.default_rng(seed).normal(size=50_000).astype(np.float32).tobytes()


@pytest.mark.parametrize("running", [True, False])
def test_nothing_of_a_finished_run_is_left(tmp_path: Path, running: bool) -> None:
    """Not in rows, not in free pages, not in the write-ahead log; whether the SuperLink runs or not."""
    path = tmp_path / "state.db"
    with superlink(path) as link:
        done, deleted, under_way, own = (link.run() for _ in range(4))
        runs = {run: model(number) for number, run in enumerate((done, deleted, under_way, own))}
        for run, content in runs.items():
            link.send(run, content)
        link.send(under_way, runs[done][:40_000])
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(FULL)")  # into the file itself, as a longer run does
            db.execute("PRAGMA secure_delete = OFF")  # as most builds of SQLite have it: free pages keep their bytes
            db.execute("PRAGMA foreign_keys = ON")
            mine = "SELECT object_id FROM run_objects WHERE run_id = ?"
            db.execute(f"DELETE FROM objects WHERE object_id IN ({mine})", (deleted - (deleted >> 63 << 64),))
            db.commit()
            db.execute("PRAGMA wal_checkpoint(FULL)")
        link.objects.delete_objects_in_run(deleted)  # as Flower does with what was delivered
        for run in (done, deleted):
            link.finish(run)
        assert slices(path, runs[deleted]) > 100
        if not running:
            link.close()
        path.chmod(0o644)
        swept = clear_messages(path, own)
        for run in (done, deleted, own):
            content = runs[run][40_000:] if run == done else runs[run]
            assert slices(path, content) == 0
        # Another federation's run that is under way has all that it had.
        assert [run % (1 << 64) for run in swept.kept] == [under_way]
        assert slices(path, runs[under_way]) == 200
        assert slices(path, runs[done][:40_000]) == 200  # its content is also that run's
        assert (swept.mode, stat.S_IMODE(path.stat().st_mode)) == ("0644", 0o600)
        assert swept.removed > 0
        if running:
            link.send(under_way, model(9))  # the SuperLink goes on with the same file
            assert len(link.objects) > 0
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_what_cannot_be_swept_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superlink_state, "PATIENCE", 0.3)
    other, locked, gone = tmp_path / "other.db", tmp_path / "state.db", tmp_path / "gone.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (x)")
    with superlink(locked) as link:
        link.send(link.run(), model(0))
        holder = sqlite3.connect(locked, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(FedletheError, match="locked"):
            clear_messages(locked)
        done, missed = clear_all_messages([str(other), str(locked), str(gone), ":memory:"])
        holder.close()
    assert done == []
    assert len(missed) == 4
    for said, words in zip(
        missed, ("is no record of a SuperLink", "locked", "is not on this", "memory of"), strict=True
    ):
        assert words in said
    with sqlite3.connect(other) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_where_it_is_is_told_by_the_environment_and_by_who_started_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(superlink_state.STATE, f"{tmp_path}/a.db{os.pathsep}{tmp_path}/b.db")
    assert list(told()) == [f"{tmp_path}/a.db", f"{tmp_path}/b.db"]
    monkeypatch.delenv(superlink_state.STATE)
    assert list(told()) == []
    script = tmp_path / "flower-superlink"
    script.write_text(
        "import subprocess, sys\n"
        "ask = 'from fedlethe.requests.superlink_state import told; print(list(told()))'\n"
        "subprocess.run([sys.executable, '-c', ask], check=True)\n"
    )
    (tmp_path / "at").mkdir()
    command = [sys.executable, str(script), "--insecure", "--database", "state.db"]
    said = subprocess.run(command, cwd=tmp_path / "at", capture_output=True, text=True, check=True).stdout
    assert said.strip() == str([f"{tmp_path}/at/state.db"])
    own = os.getpid()
    assert superlink_state.database(own, ["flower-superlink", "--database=/x/y.db"]) == "/x/y.db"
    assert superlink_state.database(own, ["flower-superlink", "--database", "sqlite:////x/y.db"]) == "/x/y.db"
    for words in ([], ["--database", ":flwr-in-memory:"], ["--database", "postgresql://elsewhere/state"]):
        assert superlink_state.database(own, ["flower-superlink", *words]) in (
            ":memory:",
            "postgresql://elsewhere/state",
        )
