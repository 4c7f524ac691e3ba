# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.history import chain
from fedlethe.requests.carry_out import Carried, Purged
from tests.cli.output.test_erasures import ERASURE
from tests.cli.output.test_requests import NOW, REQUEST


@pytest.fixture(autouse=True)
def _a_day_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "clock", lambda: NOW)


@pytest.mark.parametrize(
    ("verdict", "told"), [("still there", "the audits found the client"), ("not useful", "the model of no use")]
)
def test_a_request_that_stopped_says_so_first_and_how_to_go_on(
    verdict: str, told: str, printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    stopped = replace(REQUEST, state="audited", verdict=verdict, erasure="0001")
    carried = Carried(stopped, ERASURE, None)
    lines = printed(carried).splitlines()
    assert lines[0].startswith("STOPPED: ")
    assert told in lines[0]
    assert [line.split(":")[0] for line in lines[-3:]] == [
        "to go on, by another method, such as retraining",
        "to go on, as it is, which stays on record",
        "to go on, or not at all",
    ]
    assert "fedlethe erase RUN --request R0001 --key erasure.key --method retrain" in lines[-3]
    again = printed(Carried(stopped, replace(ERASURE, method="retrain"), None))
    assert "with more retrainings: fedlethe erase RUN --request R0001 --key erasure.key --references 10" in again
    assert as_json(carried)["stopped"] is True


def test_a_request_that_was_carried_out_names_its_certificate_and_what_is_in_no_ledger(
    printed: Callable[[Any], str],
) -> None:
    done = replace(REQUEST, state="completed", verdict="gone", purge="done", erasure="0001")
    lines = printed(Carried(done, ERASURE, Path("c.json"), unnamed=("notes.txt: a file",))).splitlines()
    assert lines[0] == "request R0001: a erased; audit: gone; 1 entry that no ledger names was left in the run folder"
    assert "notes.txt: a file" in lines
    warned = replace(done, verdict="useful", warnings=["the model answers class 0", "figures say little"])
    first = printed(Carried(warned, ERASURE, Path("c.json"))).splitlines()[0]
    assert first == "request R0001: a erased; audit: useful; but the model answers class 0"
    assert lines[-2:] == ["request R0001: completed; purge: done", "certificate: c.json"]
    held = printed(Carried(replace(done, purge="2026-03-01"), ERASURE, Path("c.json"))).splitlines()
    assert held[-2].endswith("purge: 2026-03-01")
    due = printed(Carried(replace(done, purge="2026-01-15"), ERASURE, Path("c.json"))).splitlines()
    assert due[-2].endswith("due since 2026-01-15, and not made: fedlethe purge RUN --key erasure.key")


def test_purges_that_were_due_waited_or_are_unfinished(printed: Callable[[Any], str]) -> None:
    waiting, unfinished = (
        replace(REQUEST, id="R0002", purge="2026-03-01"),
        replace(REQUEST, id="R0003", state="running"),
    )
    nothing = printed(Purged(Path("RUN"), (), (waiting,), (unfinished,))).splitlines()
    assert nothing == [
        "no purge is due",
        "R0003: running, not finished: fedlethe erase RUN --request R0003 --key erasure.key",
        "R0002: kept until 2026-03-01",
    ]
    done = replace(REQUEST, state="completed", purge="done")
    text = printed(Purged(Path("RUN"), (Carried(done, ERASURE, None, unnamed=("x: a folder",)),), ()))
    assert "Purged" in text
    assert "x: a folder" in text
