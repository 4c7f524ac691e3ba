# SPDX-License-Identifier: MIT
"""Rows that cannot both be true are found, whatever their hashes say."""

from __future__ import annotations

from typing import Any

import pytest

from fedlethe.history.chain import ChainHead, Event
from fedlethe.history.ledger_state import LedgerState

FILE = {"path": "norms/a/x.sealed", "kind": "norms", "client": "a", "round": 1, "bytes": 1, "sha256": "0" * 64}
ROUND = {"seconds": 1.0, "recording_seconds": 1.0, "evaluation": "null"}
REQUEST = {"id": "R0001"}
PLAN = {"method": "influence"}

Row = tuple[str, dict[str, Any]]


def told(*rows: Row) -> LedgerState:
    """The state after some rows, none of which contradicts those before it."""
    state = LedgerState()
    for seq, (kind, body) in enumerate(rows, 1):
        event = Event(seq, f"2026-01-0{seq}", kind, body, f"hash {seq}")
        assert state.contradicts(event) is None, (kind, body)
        state.take(event)
    return state


def key(what: str, id: str = "1") -> Row:
    return "key", {"client": "a", "id": id, "what": what}


def state(name: str, **named: Any) -> Row:
    return "state", {"request": "R0001", "state": name, **named}


BEGUN: list[Row] = [("request", REQUEST), state("running", plan=PLAN)]
ERASED: list[Row] = [*BEGUN, ("erasure", {"id": "0001", "request": "{}"}), state("audited", erasure="0001")]


@pytest.mark.parametrize(
    ("rows", "row", "found"),
    [
        ([], ("round", {"round": 2, **ROUND}), "is of round 2, after 0 rounds"),
        ([("round", {"round": 1, **ROUND})], ("round", {"round": 1, **ROUND}), "is of round 1, after 1 rounds"),
        ([("artefact", FILE)], ("artefact", FILE), "which is entered already"),
        ([], ("removed", {"path": "norms/a/x.sealed"}), "which is not there"),
        ([], ("erasure", {"id": "0002", "request": "{}"}), "enters erasure 0002, after 0 erasures"),
        ([("request", REQUEST)], ("request", REQUEST), "opens request R0001, which is not the next"),
        ([], ("request", {"id": "R0002"}), "opens request R0002, which is not the next"),
        (BEGUN, state("audited", erasure="0001"), "is of erasure 0001, which is not above it"),
        ([], ("purge", {"request": "R0001", "erasure": "0001"}), "is of erasure 0001, which is not above it"),
        ([], state("withdrawn"), "is of request R0001, which was never opened"),
        ([("request", REQUEST)], state("running"), "has a request running without its plan"),
        (BEGUN, state("audited"), "has a request audited without its erasure"),
        (ERASED, state("completed"), "has a request completed without its purge"),
        ([*ERASED, state("running")], state("audited"), "has a request audited without its erasure"),
        ([key("made")], key("made"), "has the key a.1 made, which it cannot be"),
        ([], key("destroyed"), "has the key a.1 destroyed, which it cannot be"),
        ([key("made"), key("destroyed")], key("destroyed"), "destroys the key a.1 again"),
    ],
)
def test_a_row_that_contradicts_those_before_it_is_named(rows: list[Row], row: Row, found: str) -> None:
    so_far = told(*rows)
    assert found in str(so_far.contradicts(Event(len(rows) + 1, "", *row, "")))


def test_a_whole_story_is_told() -> None:
    held = told(
        ("run", {"id": "f" * 32}),
        ("artefact", FILE),
        ("removed", {"path": FILE["path"], "because": "erased"}),
        ("artefact", FILE),
        ("participation", {"round": 1, "client": "a"}),
    )
    assert held.run_id == "f" * 32
    assert (list(held.artefacts), held.tombstones) == ([FILE["path"]], {})  # what is made again is there again
    assert held.participation[1][0].client == "a"
    assert (held.head, held.at) == (ChainHead(5, "hash 5"), "2026-01-05")
    assert held.hashes == [f"hash {seq}" for seq in range(1, 6)]


def test_a_completed_request_had_all_that_it_needs() -> None:
    held = told(*ERASED, state("completed", purge="done"))
    assert held.requests == {"R0001": {"plan": True, "erasure": True, "purge": True}}
    assert told(*ERASED, state("running")).requests["R0001"] == {"plan": True, "erasure": False, "purge": False}


def test_a_key_that_was_lost_can_be_destroyed_when_it_is_found() -> None:
    told(key("made"), key("lost"), key("destroyed"))
    held = told(key("made"), key("made", "2"), key("destroyed"))
    assert held.keys == {("a", "1"): False, ("a", "2"): True}


def test_rows_of_rounds_files_and_erasures_are_not_kept_a_second_time() -> None:
    held = told(("artefact", FILE), ("round", {"round": 1, **ROUND}), *BEGUN)
    assert [event.kind for event in held.others] == ["request", "state"]
