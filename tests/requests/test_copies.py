# SPDX-License-Identifier: MIT
"""What a purge says of copies outside the run folder: what it did, and what it cannot reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedlethe.history.disk import RunFolder
from fedlethe.history.store import JSON
from fedlethe.requests import superlink_state
from fedlethe.requests.copies import OUT_OF_SIGHT, reach, reached
from tests.requests.acting import GONE

RECORD = {
    "identities": {
        GONE: {"kind": "partition-id", "value": "1"},
        "hospital-0": {"kind": "public-key", "value": "ab"},
        "hospital-2": {"kind": "public-key", "value": "cd"},
    },
    "messages": {GONE: 4, "hospital-0": 4, "hospital-2": 0},
    "flower_state": ["/nowhere/state.db"],
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(superlink_state.STATE, raising=False)
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray" / "session_2026").mkdir(parents=True)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    history = RunFolder(tmp_path / "run", ["hospital-0", GONE, "hospital-2"], frozenset(), create=True)
    yield history
    history.close()


def _enter(history: RunFolder, name: str, kind: Any, **more: Any) -> None:
    content = json.dumps({**RECORD, **more}).encode()
    history.ledger.add_artefacts([history.store.write(kind, name, None, [content], ending=JSON)])


def test_where_nothing_was_on_nodes_only_what_is_out_of_sight_is_named(folder: RunFolder) -> None:
    assert reached(folder, "R0001") == ([], [OUT_OF_SIGHT])
    reach([folder], "R0001", [GONE])
    assert reached(folder, "R0001") == ([], [OUT_OF_SIGHT])


@pytest.mark.parametrize(("name", "kind"), [("nodes/0001", "nodes"), ("erasures/0001/nodes", "erasure")])
def test_machines_of_the_nodes_are_named_by_what_lies_there(folder: RunFolder, name: str, kind: str) -> None:
    _enter(folder, name, kind)
    reach([folder], "R0001", [GONE])
    done, missed = reached(folder, "R0001")
    assert done == []
    assert any(words.startswith(f"the node of {GONE}: decoded images") for words in missed)
    # Nobody wrote to hospital-2: it holds no model of the erased one's time.
    assert any(
        words.startswith(f"the nodes of hospital-0: models that they were sent while {GONE}") for words in missed
    )
    assert not any("hospital-2" in words for words in missed)
    assert any("/nowhere/state.db: is not on this machine" in words for words in missed)
    assert any("session_2026: temporary files of a simulation" in words for words in missed)
    assert missed[-1] == OUT_OF_SIGHT


def test_a_superlink_that_nobody_named_is_said_with_where_to_name_it(folder: RunFolder) -> None:
    _enter(folder, "nodes/0001", "nodes", flower_state=[])
    reach([folder], "R0001", [GONE])
    missed = reached(folder, "R0001")[1]
    assert any(words.startswith("Flower's record") and superlink_state.STATE in words for words in missed)


def test_of_two_attempts_the_last_one_counts(folder: RunFolder) -> None:
    reach([folder], "R0001", [GONE])
    _enter(folder, "nodes/0001", "nodes")
    reach([folder], "R0001", [GONE])
    assert len(reached(folder, "R0001")[1]) > 1
    assert reached(folder, "R0002") == ([], [OUT_OF_SIGHT])
