# SPDX-License-Identifier: MIT
"""What was written cannot be changed, taken out or put elsewhere unseen, whatever the place."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.history.chain import BEFORE_ALL, Chain, ChainHead, canonical

WHEN = "2026-01-02T03:04:05+00:00"
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("run", {"id": "abc"}),
    ("round", {"round": 1, "loss": 0.1, "evaluation": '{"accuracy": 0.5}'}),
    ("participation", {"client": "klinik-süd", "weight": 1 / 3}),
    ("artefact", {"path": "influence/a/round_0001.sealed", "sha256": "00ff", "round": None}),
    ("request", {"clients": ["a", "b"], "reason": "Art. 17"}),
]
ANY_TYPE = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, at, kind, body, hash)",
    "INSERT INTO events SELECT seq, at, kind, CASE WHEN seq = 2 THEN x'00' ELSE body END, hash FROM other",
)
"""The table anew, with bytes in one of its rows."""
COLUMNS = ("seq", "at", "kind", "body", "hash")


def _written(path: Path) -> Path:
    chain = Chain(path, create=True)
    head = ChainHead()
    for row in ROWS:
        (event,) = chain.append(head, WHEN, [row])
        head = ChainHead(event.seq, event.hash)
    chain.close()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("chain") / "ledger.db")


@pytest.fixture
def ledger(whole: Path, tmp_path: Path) -> Path:
    return _copied(whole, tmp_path)


def _copied(whole: Path, folder: Path) -> Path:
    for name in ("ledger.db", "ledger.head"):
        shutil.copy(whole.with_name(name), folder / name)
    return folder / "ledger.db"


def _tampered(path: Path, *statements: str) -> None:
    """As one would who has the file and knows SQL."""
    database = sqlite3.connect(path)
    database.executescript("DROP TRIGGER unchanged; DROP TRIGGER undeleted;" + ";".join(statements))
    database.close()


def _read(path: Path) -> list[Any]:
    chain = Chain(path)
    try:
        return chain.read(ChainHead())
    finally:
        chain.close()


def test_the_rows_come_back_and_their_hashes_are_what_anybody_can_work_out(whole: Path) -> None:
    events = _read(whole)
    assert [(event.kind, event.body) for event in events] == ROWS
    previous = BEFORE_ALL
    for event in events:
        body = json.dumps(event.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        row = json.dumps([previous, event.seq, WHEN, event.kind, body], separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(row.encode()).hexdigest()
        assert event.hash == previous
    assert whole.with_name("ledger.head").read_text() == f"5 {previous}\n"


def test_sql_itself_cannot_change_or_delete(ledger: Path) -> None:
    database = sqlite3.connect(ledger)
    for statement in ("UPDATE events SET at = 'then' WHERE seq = 2", "DELETE FROM events WHERE seq = 5"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM events WHERE seq = 3", "row 3 is missing (row 4 follows row 2)"),
        ("DELETE FROM events WHERE seq = 1", "row 1 is missing (row 2 follows row 0)"),
        ("DELETE FROM events WHERE seq >= 4", "row 4 is missing (ledger.head names row 5)"),
        ("DELETE FROM events", "row 1 is missing (ledger.head names row 5)"),
        ("UPDATE events SET seq = -seq WHERE seq IN (2, 3); UPDATE events SET seq = 5 + seq WHERE seq < 0", "row 2"),
        ('UPDATE events SET body = \'{"id":"abd"}\' WHERE seq = 1', "row 1 is not what was written"),
    ],
)
def test_the_first_row_that_is_not_right_is_named(ledger: Path, statement: str, found: str) -> None:
    _tampered(ledger, statement)
    with pytest.raises(FedletheError) as error:
        _read(ledger)
    assert found in str(error.value)
    assert "restore it from a backup" in str(error.value)


@given(data=st.data())
def test_any_byte_of_any_column_of_any_row(whole: Path, data: st.DataObject) -> None:
    with sqlite3.connect(f"{whole.as_uri()}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT * FROM events ORDER BY seq").fetchall()
    database.close()
    row = list(data.draw(st.sampled_from(rows)))
    column = data.draw(st.integers(1, 4))
    content = bytearray(row[column].encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    folder = whole.parent / "flipped"
    folder.mkdir(exist_ok=True)
    ledger = _copied(whole, folder)
    text = f"CAST(X'{content.hex()}' AS TEXT)"
    _tampered(ledger, f"UPDATE events SET {COLUMNS[column]} = {text} WHERE seq = {row[0]}")
    with pytest.raises(FedletheError, match=r"ledger\.db"):
        _read(ledger)


@given(data=st.data())
def test_any_byte_of_the_file_in_which_a_row_is_stored(whole: Path, data: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    with sqlite3.connect(f"{whole.as_uri()}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT at || kind || body || hash FROM events").fetchall()
    database.close()
    stored = data.draw(st.sampled_from(rows))[0].encode()
    assert content.count(stored) == 1  # SQLite lays the columns of a row one after the other
    start = content.index(stored)
    content[data.draw(st.integers(start, start + len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    folder = whole.parent / "stored"
    folder.mkdir(exist_ok=True)
    ledger = _copied(whole, folder)
    ledger.write_bytes(content)
    with pytest.raises(FedletheError, match=r"ledger\.db"):
        _read(ledger)


@pytest.mark.parametrize("content", [None, "", "5", "6 " + "0" * 64, "5 " + "0" * 64, "five x", "tab"])
def test_the_head_beside_it_is_part_of_it(ledger: Path, content: str | None) -> None:
    head = ledger.with_name("ledger.head")
    if content == "tab":  # it reads the same, and is not what was written
        content = head.read_text().replace(" ", "\t")
    head.unlink() if content is None else head.write_text(content)
    with pytest.raises(FedletheError, match=r"ledger\.head"):
        _read(ledger)


def test_a_head_that_a_kill_left_behind_is_caught_up_with(ledger: Path) -> None:
    events = _read(ledger)
    ledger.with_name("ledger.head").write_text(f"3 {events[2].hash}\n")
    assert _read(ledger) == events
    chain = Chain(ledger)
    (added,) = chain.append(ChainHead(5, events[-1].hash), WHEN, [("purge", {})])
    chain.close()
    assert ledger.with_name("ledger.head").read_text() == f"6 {added.hash}\n"


def test_the_head_is_caught_up_with_where_nothing_is_added(ledger: Path) -> None:
    events = _read(ledger)
    ledger.with_name("ledger.head").write_text(f"3 {events[2].hash}\n")
    chain = Chain(ledger)
    chain.catch_up(ChainHead(5, events[4].hash))
    chain.close()
    assert ledger.with_name("ledger.head").read_text() == f"5 {events[4].hash}\n"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1", r"its table or what keeps rows"),  # the triggers are gone: `_tampered` drops them
        ("CREATE TABLE more (a)", r"its table or what keeps rows"),
    ],
)
def test_what_guards_the_rows_is_looked_at(ledger: Path, statement: str, found: str) -> None:
    chain = Chain(ledger)
    assert list(chain.damage()) == []
    chain.close()
    _tampered(ledger, statement)
    chain = Chain(ledger)
    assert any(re.search(found, problem) for problem in chain.damage())
    chain.close()


@pytest.mark.parametrize("place", [18, 27, 43, 60, 75, 96])
def test_a_header_that_is_not_as_it_was_made(ledger: Path, place: int) -> None:
    content = bytearray(ledger.read_bytes())
    content[place] ^= 0x40 if place == 96 else 3
    ledger.write_bytes(content)
    try:
        chain = Chain(ledger)
    except FedletheError:
        return
    try:
        assert any("header" in problem for problem in chain.damage())
    except FedletheError as error:
        assert "ledger.db" in str(error)  # noqa: PT017
    finally:
        chain.close()


def test_a_value_that_is_no_text_is_no_row(tmp_path: Path) -> None:
    path = _written(tmp_path / "ledger.db")
    _tampered(path, "CREATE TABLE other AS SELECT * FROM events", "DROP TABLE events", *ANY_TYPE)
    with pytest.raises(FedletheError, match="row 2 is not made of text"):
        _read(path)


def test_a_clock_that_goes_backwards_does_not_take_time_back(ledger: Path) -> None:
    chain = Chain(ledger)
    head = ChainHead(5, chain.read(ChainHead())[-1].hash)
    (early,) = chain.append(head, "2025-12-31T00:00:00+00:00", [("round", {})])
    assert early.at == WHEN
    (late,) = chain.append(ChainHead(early.seq, early.hash), "2026-02-01T00:00:00+00:00", [("round", {})])
    assert late.at == "2026-02-01T00:00:00+00:00"
    chain.close()
    assert _read(ledger)[-1] == late


def test_all_rows_of_an_append_or_none(ledger: Path) -> None:
    chain = Chain(ledger)
    events = chain.read(ChainHead())
    head = ChainHead(5, events[-1].hash)
    with pytest.raises(ValueError, match="JSON"):
        chain.append(head, WHEN, [("round", {}), ("round", {"loss": float("nan")})])
    assert chain.read(ChainHead()) == events
    with pytest.raises(FedletheError, match="another process has written"):
        chain.append(ChainHead(4, events[3].hash), WHEN, [("round", {})])
    chain.close()


def test_another_file_than_a_ledger_is_named(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger.db")
    database.execute("CREATE TABLE rounds (round INTEGER)")
    database.close()
    with pytest.raises(FedletheError, match="older fedlethe"):
        Chain(tmp_path / "ledger.db")


def test_the_canonical_text() -> None:
    assert canonical({"b": [1, None, True], "a": "ü"}) == '{"a":"ü","b":[1,null,true]}'
