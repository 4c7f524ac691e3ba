# SPDX-License-Identifier: MIT
"""The erasure of a request: failed, tried again, audited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from fedlethe.audit import AUDITS, Evidence
from fedlethe.erasing.auditing import attested
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import erasures
from fedlethe.errors import FedletheError
from fedlethe.history.request_log import find
from fedlethe.requests.request import listed
from fedlethe.runs.opening import opened_run
from tests.requests.acting import (
    GONE,
    OTHER,
    PLAIN,
    carry,
    document,
    request,
    trained,
)


def test_one_that_cannot_be_made_fails_and_can_be_tried_again(run: Path) -> None:
    id = request(run, GONE)
    with pytest.raises(FedletheError, match="renormalise"):  # a value that is not taken changes nothing
        carry(run, id, ErasurePlan(method="influence", options={"renormalised": True}, mask={}, repair={}))
    assert listed(run).requests[0].state == "opened"
    with pytest.raises(FedletheError, match="public images"):
        carry(run, id, ErasurePlan(method="kd", options={}, mask={}, repair={}))
    (held,) = listed(run).requests
    assert held.state == "failed"
    assert "public images" in held.note
    assert carry(run, id, PLAIN).request.state == "completed"
    assert carry(run, id).request.state == "completed"  # asked again it says so, and does nothing
    assert len(list((run / "erasures").glob("0*"))) == 1
    with pytest.raises(FedletheError, match="erased already, by request R0001"):
        request(run, GONE)


def test_a_failed_attempt_s_note_is_not_of_the_next_one(run: Path) -> None:
    (key,) = run.glob(f"keys/{GONE}.*.key")
    aside = run.parent / key.name
    key.rename(aside)
    asked = request(run, GONE)
    with pytest.raises(FedletheError, match=r"retraining needs nothing of it: fedlethe erase .* --method retrain"):
        carry(run, asked, PLAIN)
    (failed,) = listed(run).requests
    assert (failed.state, "is missing" in failed.note) == ("failed", True)
    aside.rename(key)
    carry(run, asked, PLAIN)
    (done,) = listed(run).requests
    assert (done.state, done.note) == ("completed", "")


def test_figures_of_audits_are_kept_to_three_digits(short: Path) -> None:
    carried = carry(short, request(short, GONE), ErasurePlan(method="retrain", references=3))
    with opened_run(short) as opened:
        found = attested(opened.history, carried.erasure.id)
    assert found is not None
    figures = [
        value
        for finding in found.findings
        if finding.measured is not None
        for value in (*finding.measured.candidates, *finding.measured.untouched, *finding.measured.references)
    ]
    assert len(figures) > 5
    assert all(value == float(f"{value:.2e}") for value in figures)


@dataclass(frozen=True)
class Broken:
    """An audit of a package that gives nothing."""

    paper: ClassVar[str] = "a test"
    figure: ClassVar[str] = "nothing"
    worse: ClassVar[str] = "large"
    words: ClassVar[tuple[str, str]] = ("gone", "still there")
    gated: ClassVar[bool] = True
    tolerance: float = 0.0

    def measure(self, evidence: Evidence) -> None:
        return None


def test_where_an_audit_fails_the_request_is_failed_and_goes_on_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "run", document(hospitals=3, rounds=1))
    id = request(run, GONE)
    monkeypatch.setitem(AUDITS.rows, "mine", f"{__name__}:Broken")
    plan = replace(PLAIN, references=3)
    for given in (plan, None):
        with pytest.raises(FedletheError, match=r"^audit 'mine': gives a NoneType; return a Measured"):
            carry(run, id, given)
        with opened_run(run) as opened:
            assert find(opened.history.ledger, id).state == "failed"
            assert len(erasures(opened.history)) == 1  # it is found again, and not made twice
    monkeypatch.delitem(AUDITS.rows, "mine")
    assert carry(run, id, plan).audit is not None
    other = request(run, OTHER)
    monkeypatch.setitem(AUDITS.rows, "mine", f"{__name__}:Broken")
    with pytest.raises(FedletheError, match=r"^audit 'mine': gives"):
        carry(run, other, plan)
    monkeypatch.delitem(AUDITS.rows, "mine")
    assert carry(run, other, replace(plan, method="retrain", options={})).request.purge == "done"
