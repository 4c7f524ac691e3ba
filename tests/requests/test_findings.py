# SPDX-License-Identifier: MIT
"""A request whose audits find the client, or a model of no use: it stops, says so, and waits for a decision."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.audit import Finding, Verdict
from fedlethe.erasing.auditing import Attested, enter
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError
from fedlethe.history.chain import canonical
from fedlethe.pages.report import report
from fedlethe.requests import signing
from fedlethe.requests.carry_out import Carried, carry_out, purge_due
from fedlethe.requests.request import listed, withdraw
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from tests.requests.acting import KEY, document, later, request, trained
from tests.requests.rechaining import rechained

GONE = "hospital-1"
NOTHING = ErasurePlan(method="influence", options={"scale": 1e-4}, mask={}, repair={"rounds": 0}, references=3)
BACKDOOR = """
[data]
source = "phantom"
size = 16
hospitals = 3
images_per_hospital = 80
[federation]
rounds = 6
[local]
optimizer = "adam"
learning_rate = 0.005
epochs = 3
[backdoor]
client = "hospital-1"
"""
Audit = Callable[[OpenRun, Erasure, ErasureOrder, int], None]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("findings") / "run", document(hospitals=3, rounds=1))


@pytest.fixture
def run(untouched: Path, tmp_path: Path) -> Path:
    run = Path(shutil.copytree(untouched, tmp_path / "run"))
    request(run, GONE)
    return run


def _finds(verdict: Verdict) -> Audit:
    """An audit that finds this."""

    def audit(run: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
        enter(
            run.history,
            erasure.id,
            Attested(references, (1, 2, 3), verdict, (Finding("backdoor", verdict, "it was seen"),)),
        )

    return audit


def _carry(run: Path, plan: ErasurePlan | None, verdict: Verdict | None = None, why: str | None = None) -> Carried:
    accepted = None if why is None else {"why": why, "by": "the officer"}
    with opened_run(run) as opened:
        if verdict is None:
            return carry_out(opened, "R0001", plan, KEY, accepted=accepted)
        return carry_out(opened, "R0001", plan, KEY, _finds(verdict), accepted)


def _traces(run: Path) -> set[Path]:
    return {path for path in run.rglob("*") if path.is_file() and GONE in str(path.relative_to(run))}


@pytest.mark.parametrize("verdict", ["still there", "not useful"])
def test_nothing_is_certified_or_purged_until_somebody_decides(run: Path, verdict: Verdict) -> None:
    before = _traces(run)
    for plan in (NOTHING, None):
        carried = _carry(run, plan, verdict)
        assert (carried.request.state, carried.request.stopped) == ("audited", True)
        assert (carried.request.verdict, carried.certificate) == (verdict, None)
        assert carried.audit is not None
        assert carried.audit.verdict == verdict
    assert _traces(run) >= before
    assert not list(run.rglob("certificate*"))
    with opened_run(run) as opened:
        page = report(opened).page.read_text()
    assert f"The audits say: {verdict}." in page
    assert "nobody has decided yet: nothing is certified or purged" in page


@pytest.mark.parametrize("verdict", ["gone", "cannot be shown"])
def test_other_verdicts_do_not_stop_it_and_are_told(run: Path, verdict: Verdict) -> None:
    carried = _carry(run, NOTHING, verdict)
    assert (carried.request.state, carried.request.verdict) == ("completed", verdict)
    assert _predicate(carried)["audit"]["verdict"] == verdict


def test_a_request_that_was_not_audited_says_so(run: Path) -> None:
    carried = _carry(run, replace(NOTHING, references=0))
    assert (carried.request.state, carried.request.verdict, carried.audit) == ("completed", "not audited", None)
    assert _predicate(carried)["audit"]["verdict"] == "not audited"


def _predicate(carried: Carried) -> dict[str, Any]:
    assert carried.certificate is not None
    payload = signing.opened(carried.certificate.read_bytes(), KEY.public, carried.certificate)
    predicate: dict[str, Any] = json.loads(payload)["predicate"]
    return predicate


def test_findings_that_are_accepted_stay_on_record(run: Path) -> None:
    _carry(run, NOTHING, "still there")
    carried = _carry(run, None, why="the client agreed to it")
    assert (carried.request.state, carried.request.verdict) == ("completed", "still there")
    accepted = {"why": "the client agreed to it", "by": "the officer"}
    assert carried.request.accepted == accepted
    assert _predicate(carried)["accepted_findings"] == accepted
    assert _predicate(carried)["audit"]["verdict"] == "still there"


def test_a_ledger_that_was_moved_on_past_a_finding_purges_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that fedlethe did not write, every hash valid: completed, its purge due, and nobody accepted anything."""
    _carry(run, replace(NOTHING, keep_for=1), "still there")
    before = _traces(run)
    completed = {"request": "R0001", "state": "completed", "purge": "2026-01-01"}
    rechained(run, lambda *_: None, ("state", canonical(completed)))
    later(monkeypatch)
    with opened_run(run) as opened, pytest.raises(FedletheError, match="found 'still there', and nobody has accepted"):
        purge_due(opened, KEY)
    assert _traces(run) >= before


def test_nobody_accepts_what_was_not_found(run: Path) -> None:
    with pytest.raises(FedletheError, match="no audit was made"):
        _carry(run, NOTHING, why="in advance")
    _carry(run, NOTHING, "gone")
    with pytest.raises(FedletheError, match="its audits found 'gone'"):
        _carry(run, None, why="afterwards")


def test_another_method_is_audited_anew(run: Path) -> None:
    _carry(run, NOTHING, "still there")
    carried = _carry(run, ErasurePlan(method="retrain", options={}, mask={}, repair={}), "gone")
    assert (carried.request.state, carried.erasure.id, carried.erasure.method) == ("completed", "0002", "retrain")
    assert carried.request.verdict == "gone"
    assert carried.request.accepted is None
    assert not (run / "erasures/0001/model.safetensors").exists()  # it may hold the client


def test_what_an_audit_found_is_not_lost_by_trying_again_without_one(run: Path) -> None:
    _carry(run, NOTHING, "still there")
    again = _carry(run, ErasurePlan(method="retrain", options={}, mask={}, repair={}), "still there")
    assert again.request.stopped
    assert (again.request.plan or {})["references"] == NOTHING.references
    withdraw(run, "R0001", "it stays", "the officer")
    request(run, GONE)
    with opened_run(run) as opened:
        with pytest.raises(
            FedletheError, match=r"found erasure 0002 'still there' \(request R0001\).*ask for references"
        ):
            carry_out(opened, "R0002", ErasurePlan(method="retrain", repair={"rounds": 1}), KEY)
        plan = ErasurePlan(method="retrain", repair={"rounds": 1}, references=3)
        found = _predicate(carry_out(opened, "R0002", plan, KEY, _finds("gone")))["earlier_findings"]
    assert [(one["erasure"], one["verdict"]) for one in found] == [("0001", "still there"), ("0002", "still there")]


def test_it_can_be_withdrawn(run: Path) -> None:
    _carry(run, NOTHING, "still there")
    assert withdraw(run, "R0001", "it stays", "the officer").state == "withdrawn"
    assert request(run, GONE) == "R0002"


def test_a_model_that_is_the_same_as_before_is_no_erasure(run: Path) -> None:
    with pytest.raises(FedletheError, match="the model after is the model before"):
        _carry(run, replace(NOTHING, options={"scale": 0.0}, references=0))
    assert listed(run).requests[0].state == "failed"
    assert not list(run.rglob("certificate*"))
    assert _carry(run, replace(NOTHING, options={"scale": 1.0}, references=0)).request.state == "completed"


@pytest.mark.parametrize("references", [1, 2, -1])
def test_fewer_retrainings_than_an_audit_takes_are_refused(run: Path, references: int) -> None:
    with pytest.raises(FedletheError, match=f"references {references}: the audits take"):
        _carry(run, replace(NOTHING, references=references))
    assert listed(run).requests[0].state == "opened"


def test_a_real_audit_of_a_real_backdoor_from_the_command_line(tmp_path: Path) -> None:
    config, run, key = tmp_path / "c.toml", tmp_path / "run", tmp_path / "k"
    config.write_text(BACKDOOR)

    def fedlethe(*arguments: str | Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "fedlethe", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    assert fedlethe("key", "new", key)[0] == 0
    assert fedlethe("train", "--config", config, "--out", run)[0] == 0
    assert fedlethe("request", run, "--client", GONE, "--reason", "withdrew")[0] == 0
    act = ("erase", run, "--request", "R0001", "--key", key)
    nothing = ("--method", "influence", "--set", "scale=0.0001", "--repair-rounds", "0", "--references", "3")
    code, output = fedlethe(*act, *nothing)
    assert code == 3
    assert output.startswith("STOPPED: the audits found the client ('still there')")
    code, output = fedlethe(*act, "--json")
    assert code == 3
    told = json.loads(output)
    assert (told["stopped"], told["verdict"], told["certificate"]) == (True, "still there", None)
    assert "still there" in fedlethe("requests", run)[1]
    assert json.loads(fedlethe("requests", run, "--json")[1])["requests"][0]["stopped"] is True
    said = ("--accept-findings", "the trigger [/] does no harm here", "--by", "Dr. Ito")
    code, output = fedlethe(*act, *said, "--json")
    assert (code, json.loads(output)["verdict"]) == (0, "still there")
    certificate = json.loads(output)["certificate"]
    assert json.loads(output)["request"]["accepted"] == {"why": said[1], "by": "Dr. Ito"}
    code, output = fedlethe("verify", certificate, "--key", f"{key}.pub", "--run", run)
    assert code == 0
    assert "claim: evidence; audit: still there (against 3 retrainings)" in " ".join(output.split())
