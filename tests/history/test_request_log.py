# SPDX-License-Identifier: MIT
"""Requests as the rows of a ledger tell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.history.ledger import Ledger
from fedlethe.history.request_log import (
    BEGUN,
    ErasureRequest,
    demand_clock,
    find,
    findings_about,
    moved,
    requests_of,
    state_row,
    subject_of,
)

CLOCK = "fedlethe.history.chain.clock"
WHY: dict[str, Any] = {
    "reason": "she asked",
    "by": "M. Weber",
    "legal_ground": "GDPR Art. 17(1)",
    "deadline": "2026-03-01",
}
PLAN = {"method": "influence", "options": {}, "mask": {}, "repair": {}}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(CLOCK, lambda: "2026-02-01T10:00:00+00:00")
    held = Ledger(tmp_path / "ledger.db", create=True)
    yield held
    held.close()


def opened(ledger: Ledger, id: str = "R0001", clients: tuple[str, ...] = ("north",), **more: Any) -> None:
    ledger.append([("request", {"id": id, "clients": list(clients), "patients": {}, **WHY, **more})])


def erased(ledger: Ledger, id: str, request: str = "R0001", **found: Any) -> None:
    ledger.add_erasure(id, f'{{"{id}": 1}}', [], [state_row(request, "audited", erasure=id, **found)])


def test_a_request_goes_through_its_states(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(ledger, patients={"north": ["p1", "p2"]}, mentions={"north": ["m1"]})
    first = find(ledger, "R0001")
    assert (first.state, first.subject, first.since) == ("opened", "north (2 of its patients)", first.opened)
    assert (first.patients, first.mentions) == ({"north": ("p1", "p2")}, {"north": ("m1",)})
    monkeypatch.setattr(CLOCK, lambda: "2026-02-02T10:00:00+00:00")
    running = moved(ledger, "R0001", "running", plan=PLAN)
    assert (running.state, running.plan, running.since[:10], running.opened[:10]) == (
        *("running", PLAN),
        *("2026-02-02", "2026-02-01"),
    )
    erased(ledger, "0001", verdict="gone", hiding=["noise"], warnings=["poor"])
    audited = find(ledger, "R0001")
    assert (audited.erasure, audited.verdict, audited.hiding, audited.stopped) == ("0001", "gone", ["noise"], False)
    done = moved(ledger, "R0001", "completed", purge="done")
    assert (done.state, done.erasure, done.held_until, done.warnings) == ("completed", "0001", None, ["poor"])
    again = Ledger(ledger.path)  # its rows are such as may be read again
    assert requests_of(again) == {"R0001": done}
    again.close()


def test_a_request_that_is_begun_anew_keeps_nothing_of_what_was_found_before(ledger: Ledger) -> None:
    opened(ledger)
    moved(ledger, "R0001", "running", plan=PLAN)
    erased(ledger, "0001", verdict="still there", hiding=["noise"], warnings=["poor"], note="look again")
    moved(ledger, "R0001", "audited", accepted={"why": "enough", "by": "X"})
    anew = moved(ledger, "R0001", "running", plan=PLAN)
    assert (anew.erasure, anew.verdict, anew.accepted, anew.hiding, anew.note) == (None, None, None, (), "")
    assert anew.warnings == ()


def test_a_finding_stops_a_request_until_somebody_decides(ledger: Ledger) -> None:
    opened(ledger)
    moved(ledger, "R0001", "running", plan=PLAN)
    erased(ledger, "0001", verdict="still there")
    assert find(ledger, "R0001").stopped
    assert not moved(ledger, "R0001", "audited", accepted={"why": "enough", "by": "X"}).stopped


def test_a_purge_is_begun_until_its_state_says_more(ledger: Ledger) -> None:
    opened(ledger)
    moved(ledger, "R0001", "running", plan=PLAN)
    erased(ledger, "0001", verdict="gone", purge="2026-04-01")
    assert find(ledger, "R0001").held_until == "2026-04-01"
    purge = {"erasure": "0001", "clients": ["north"], "images": None}
    ledger.append([("purge", {"request": "R0001", **purge}), ("purge", {"request": "another run's", **purge})])
    found = find(ledger, "R0001")
    assert (found.purge, found.held_until, found.state) == (BEGUN, None, "audited")


def test_what_was_found_of_a_client_is_told_once_in_whichever_request(ledger: Ledger) -> None:
    opened(ledger)
    opened(ledger, "R0002", ("south", "west"))
    for id in ("R0001", "R0002"):
        moved(ledger, id, "running", plan=PLAN)
    erased(ledger, "0001", verdict="still there")
    seq = ledger.head().seq
    erased(ledger, "0002", "R0002", verdict="not useful")
    moved(ledger, "R0001", "audited", erasure="0001", verdict="still there")  # it was looked at again
    moved(ledger, "R0001", "audited", erasure="0001", verdict="gone")
    (one,) = findings_about(ledger, ["north"])
    assert (one["request"], one["erasure"], one["verdict"]) == ("R0001", "0001", "still there")
    both = [(one["erasure"], one["verdict"]) for one in findings_about(ledger, ["west", "north"])]
    assert both == [("0001", "still there"), ("0002", "not useful")]
    assert findings_about(ledger, ["west", "north"], until=seq) == [one]
    assert findings_about(ledger, ["east"]) == []


def test_a_request_that_is_not_there_is_named(ledger: Ledger) -> None:
    with pytest.raises(FedletheError, match="there is no request 'R0009'; there is none"):
        find(ledger, "R0009")
    opened(ledger)
    with pytest.raises(FedletheError, match="there is R0001"):
        find(ledger, "R0009")


@pytest.mark.parametrize(
    ("now", "state", "overdue"),
    [
        ("2026-03-01T23:59:59+00:00", "opened", False),
        ("2026-03-02T00:00:00+00:00", "opened", True),
        ("2026-03-02T00:00:00+00:00", "failed", True),
        ("2026-03-02T00:00:00+00:00", "withdrawn", False),
    ],
)
def test_a_deadline_is_over_the_day_after_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, now: str, state: Any, overdue: bool
) -> None:
    opened(ledger)
    if state != "opened":
        moved(ledger, "R0001", state)
    monkeypatch.setattr(CLOCK, lambda: now)
    assert find(ledger, "R0001").overdue is overdue


@pytest.mark.parametrize(("now", "fine"), [("2026-02-01T09:55:00+00:00", True), ("2026-02-01T09:54:59+00:00", False)])
def test_a_clock_behind_the_ledger_is_refused_beyond_a_few_minutes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, now: str, fine: bool
) -> None:
    monkeypatch.setattr(CLOCK, lambda: now)
    if fine:
        demand_clock(ledger)
        return
    with pytest.raises(FedletheError, match=r"the clock says 2026-02-01T09:54:59.*written to at 2026-02-01T10:00:00"):
        demand_clock(ledger)


def test_who_is_erased_in_words() -> None:
    assert subject_of(("north", "south"), {"south": ["p1"]}) == "north, south (1 of its patients)"


@pytest.mark.parametrize("patients", [{}, {"north": ("0f", "1a")}], ids=["whole", "in part"])
def test_a_request_is_the_row_that_was_made_of_it(ledger: Ledger, patients: dict[str, tuple[str, ...]]) -> None:
    texts = {client: names[:1] for client, names in patients.items()}
    asked = ErasureRequest(id="R0001", opened="", clients=("north",), patients=patients, mentions=texts, **WHY)
    ledger.append([("request", asked.to_dict())])
    now = "2026-02-01T10:00:00+00:00"
    assert find(ledger, "R0001") == replace(asked, opened=now, since=now)
