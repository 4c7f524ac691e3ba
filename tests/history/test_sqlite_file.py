# SPDX-License-Identifier: MIT
"""The file that rows lie in: whole or not there, and opened to read where it cannot be written."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fedlethe.errors import FedletheError
from fedlethe.history.chain import Chain, ChainHead
from fedlethe.history.sqlite_file import MADE, connected, header_is_whole, make_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    make_log(tmp_path / "log.db")
    return tmp_path / "log.db"


def test_a_ledger_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.history.sqlite_file.SCHEMA", ("CREATE TABLE events (a)", "no statement"))
        with pytest.raises(FedletheError, match="ledger cannot be used"):
            Chain(tmp_path / "ledger.db", create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.head"]
    Chain(tmp_path / "ledger.db", create=True).close()


def test_what_is_made_is_what_is_checked(log: Path) -> None:
    with closing(sqlite3.connect(log)) as database:
        held = database.execute("SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid")
        assert held.fetchall() == MADE
    assert header_is_whole(log)
    assert [path.name for path in log.parent.iterdir()] == ["log.db"]


@pytest.mark.parametrize("place", [0, 18, 21, 24, 28, 40, 44, 48, 56, 60, 91, 92, 96])
def test_any_field_of_the_header_counts(log: Path, place: int) -> None:
    content = bytearray(log.read_bytes())
    content[place] ^= 0x7F
    log.write_bytes(content)
    assert not header_is_whole(log)


def test_a_file_of_another_length_than_its_header_says_is_not_whole(log: Path) -> None:
    with log.open("ab") as file:
        file.write(bytes(512))
    assert not header_is_whole(log)


def _unwritable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder in which SQLite cannot make the index of the log: what was opened, and how."""
    opened, real = [], sqlite3.connect

    class Refusing(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("unable to open database file")

    def connect(name: str | Path, **options: object) -> sqlite3.Connection:
        opened.append(str(name))
        return real(name, factory=sqlite3.Connection if options.get("uri") else Refusing, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)
    return opened


def test_where_nothing_can_be_written_the_file_is_read_as_it_stands(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = _unwritable(monkeypatch)
    with closing(connected(log)) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert opened == [str(log), f"{log.as_uri()}?immutable=1"]


def test_a_log_with_rows_in_it_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(tmp_path / "live.db", create=True)
    chain.append(ChainHead(), "2026-01-01T00:00:00+00:00", [("round", {})])
    for ending in ("", "-wal"):
        shutil.copy(f"{tmp_path / 'live.db'}{ending}", f"{tmp_path / 'copy.db'}{ending}")
    chain.close()
    assert (tmp_path / "copy.db-wal").stat().st_size
    _unwritable(monkeypatch)
    with pytest.raises(sqlite3.OperationalError):
        connected(tmp_path / "copy.db")


def test_a_file_that_is_none_of_sqlite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        connected(tmp_path / "x.db")
