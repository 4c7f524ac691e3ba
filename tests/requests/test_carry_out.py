# SPDX-License-Identifier: MIT
"""A request from its opening to the last certificate: dates, kills, full disks, and what is said of them."""

from __future__ import annotations

import base64
import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fedlethe
from fedlethe.audit import Finding
from fedlethe.cli.output.show import tables
from fedlethe.erasing.auditing import Attested, enter
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, erase_unsigned, purge_due
from fedlethe.requests.request import listed
from fedlethe.requests.request_plan import current
from fedlethe.requests.verify import verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import (
    GONE,
    KEY,
    PLAIN,
    RECOMMENDED,
    carry,
    carry_out_alone,
    certified,
    erased,
    kill_at,
    later,
    request,
    signed_statement,
    told,
)
from tests.requests.rechaining import rechained

HELD = replace(RECOMMENDED, keep_for=1)


def test_traces_that_are_kept_for_a_while_go_when_their_date_has_come(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = erased(run, GONE, plan=replace(PLAIN, keep_for=90))
    assert certified(held).name == "certificate-before-purge.json"
    due = (dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(90)).isoformat()
    assert held.request.purge == due
    assert signed_statement(certified(held))["predicate"]["purge"]["until"] == due
    second = erased(run, "hospital-2", plan=PLAIN)  # which goes at once, and begins from the first
    assert second.erasure.after == "0001"
    with opened_run(run) as opened:
        assert current(opened.history.ledger) == "0002"
        kept = {artefact.client for artefact in opened.history.ledger.artefacts().values()}
        assert GONE in kept
        assert "hospital-2" not in kept
        assert [request.id for request in purge_due(opened, KEY).waiting] == ["R0001"]
    later = (dt.datetime.now(dt.timezone.utc) + dt.timedelta(90)).isoformat(timespec="seconds")
    monkeypatch.setattr(chain, "clock", lambda: later)
    with opened_run(run) as opened:
        (carried,) = purge_due(opened, KEY).carried
        assert certified(carried).name == "certificate.json"
    with opened_run(run) as opened:
        kept = {artefact.client for artefact in opened.history.ledger.artefacts().values()}
        assert kept == {None, "hospital-0", "hospital-3"}
        total = (
            opened.history.initial() + opened.history.influence("hospital-0") + opened.history.influence("hospital-3")
        )
        assert (total - opened.history.final()).norm() <= 1e-6 * total.norm()
        assert purge_due(opened, KEY).carried == ()
    assert not verify_ledger(run).failed


def test_a_key_file_that_is_missing_or_wrong_stops_the_act_in_one_line(run: Path) -> None:
    with opened_folder(run) as (_, history):
        (id,) = history.store.keys.living(GONE)
    path = run / f"keys/{GONE}.{id}.key"
    content = path.read_bytes()
    asked = request(run, GONE)
    for damaged, words in ((None, "is missing"), (base64.b64encode(bytes(32)), "another key")):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
            path.chmod(0o600)
        with pytest.raises(FedletheError, match=words) as error:
            carry(run, asked, PLAIN)
        assert "\n" not in str(error.value)
        assert listed(run).requests[0].state == "failed"
        path.write_bytes(content)
    path.write_bytes(content)
    path.chmod(0o600)
    assert carry(run, asked).request.state == "completed"


def test_a_clock_that_is_behind_stops_what_hangs_on_dates(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(run, GONE)
    monkeypatch.setattr(chain, "clock", lambda: "2020-01-01T00:00:00+00:00")
    for act in (lambda: carry(run, asked, PLAIN), lambda: request(run, "hospital-2")):
        with pytest.raises(FedletheError, match=r"the clock says 2020-01-01.*set the clock right"):
            act()
    monkeypatch.undo()
    now = dt.datetime.now(dt.timezone.utc)
    monkeypatch.setattr(chain, "clock", lambda: (now - dt.timedelta(minutes=2)).isoformat(timespec="seconds"))
    assert carry(run, asked, PLAIN).request.state == "completed"  # clocks are set by a little all the time
    with opened_folder(run) as (_, history):
        times = [event.at for event in history.ledger.events("request", "state", "purge")]
        assert times == sorted(times)


def _started(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fedlethe", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "erasure.key"
    signing.new_key(path)
    return path


def test_a_kill_at_any_moment_is_gone_on_from(tmp_path: Path) -> None:
    """Few moments here; benchmarks/kill_an_erasure.py has sixty. In a process without threads, which can be forked."""
    program = (
        "import sys, pathlib, random\nfrom dataclasses import replace\nfrom benchmarks import kill_an_erasure\n"
        "from benchmarks.kill_an_erasure import prepared, trial\n"
        "kill_an_erasure.PLAN = replace(kill_an_erasure.PLAN, references=0)\n"
        "folder = pathlib.Path(sys.argv[1])\nlength, whole = prepared(folder)\n"
        "for number in range(5):\n"
        "    moment = length * (number + random.Random(number).random()) / 5\n"
        "    assert trial(folder / str(number), moment, None, whole)[1:] == (True, []), number\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_a_second_process_is_refused_with_the_pid_of_the_first(run: Path, key: Path) -> None:
    request(run, GONE)
    with opened_folder(run) as (_, history), history.locked():
        process = _started("erase", run, "--request", "R0001", "--key", key)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors == f"fedlethe: {run}: process {os.getpid()} is at work on it; wait for it\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs takes root")
    try:
        yield small
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)  # models that were read are mapped still


def test_a_disk_that_is_full_in_the_middle_of_a_purge(
    untouched: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(untouched, small_disk / "run"))
    asked = request(run, GONE)

    def filled(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # up to the purge there is room
        patch.setattr("fedlethe.requests.carry_out.purge", filled)
        with pytest.raises(KeyboardInterrupt):
            carry(run, asked, PLAIN)
    with opened_folder(run) as (_, history):
        before = set(history.ledger.artefacts())
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_bsize - 4096))
    with pytest.raises(FedletheError, match="make room") as error:
        carry(run, asked)
    assert "\n" not in str(error.value)
    with opened_folder(run) as (_, history):
        assert set(history.ledger.artefacts()) == before
        history.verify()
    ballast.unlink()
    assert carry(run, asked).request.state == "completed"
    assert not verify_ledger(run).failed


def test_a_folder_that_is_read_only_can_be_verified_and_nothing_else(done: Path, tmp_path: Path, key: Path) -> None:
    copy = Path(shutil.copytree(done, tmp_path / "copy"))
    place = tmp_path / "read-only"
    place.mkdir()
    mounts = (["mount", "--bind", str(copy), str(place)], ["mount", "-o", "remount,bind,ro", str(place)])
    if any(subprocess.run(mount, capture_output=True).returncode for mount in mounts):
        subprocess.run(["umount", place], capture_output=True, check=False)
        pytest.skip("mounting takes root")
    try:
        assert not verify_ledger(place).failed
        assert not verify_certificate(place / "erasures/0001/certificate.json", done.parent / "key.pub", place).failed
        for command in (("request", place, "--client", "hospital-2", "--reason", "x"), ("purge", place, "--key", key)):
            process = _started(*command)
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 2
            assert errors.count("\n") == 1
            assert "make it writable" in errors
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_verdict_that_was_forged_in_the_ledger(small: Path) -> None:
    id = request(small, GONE)
    finding = Finding("accuracy", "not useful", "it answers one class")

    def audit(small: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
        enter(small.history, erasure.id, Attested(references, (1, 2, 3), "not useful", (finding,)))

    with opened_run(small) as opened:
        assert erase_unsigned(opened, id, replace(PLAIN, references=3), audit).stopped

    def forge(kind: str, body: dict[str, Any]) -> None:
        if kind == "state" and body.get("verdict"):
            body["verdict"] = "gone"

    rechained(small, forge)
    with pytest.raises(FedletheError, match="the ledger says 'gone' of its audit, and the audit's record"):
        carry_out_alone(small, id)
    assert not list(small.rglob("certificate*"))


def test_what_a_refused_command_says_is_not_entered(small: Path) -> None:
    def audit(opened: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
        enter(
            opened.history,
            erasure.id,
            Attested(references, (1,), "still there", (Finding("backdoor", "still there", "x"),)),
        )

    id = request(small, GONE)
    accepted = {"why": "agreed", "by": "the officer"}
    with opened_run(small) as opened:
        assert carry_out(opened, id, replace(PLAIN, references=3), KEY, audit).request.stopped
        with pytest.raises(FedletheError, match="leave all other options out"):
            carry_out(opened, id, replace(PLAIN, keep_for=2), KEY, audit, accepted)
    assert listed(small).requests[0].accepted is None
    with opened_run(small) as opened:
        assert carry_out(opened, id, None, KEY, audit, accepted).request.state == "completed"
        assert carry_out(opened, id, PLAIN, KEY).request.state == "completed"  # as it was carried out
        with pytest.raises(FedletheError, match=r"was completed on .*, and not in this way"):
            carry_out(opened, id, replace(PLAIN, method="retrain", options={}), KEY)


def test_a_purge_waits_for_a_request_that_is_half_carried_out(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = request(small, GONE), request(small, "hospital-2")
    carry_out_alone(small, first, replace(PLAIN, keep_for=1))
    with opened_run(small) as opened:
        erase_unsigned(opened, second, PLAIN)
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with (
        opened_run(small) as opened,
        pytest.raises(FedletheError, match="request R0002 is audited; finish it first"),
    ):
        purge_due(opened, KEY)
    carry_out_alone(small, second)
    with opened_run(small) as opened:
        assert [one.request.id for one in purge_due(opened, KEY).carried] == [first]
    assert not verify_ledger(small).failed


def test_what_is_half_carried_out_is_named_by_purge(run: Path) -> None:
    asked = request(run, GONE)
    kill_at("fedlethe.requests.carry_out.purge", run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    with opened_run(run) as opened:
        result = purge_due(opened, KEY)
    assert [one.id for one in result.unfinished] == [asked]
    assert any(isinstance(part, str) and "not finished: fedlethe erase" in part for part in tables(result))


def test_a_key_is_asked_for_where_a_purge_is_due_and_not_before(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fedlethe.open_run(small)
    assert run.purge().carried == ()
    carry_out_alone(small, request(small, GONE), replace(PLAIN, keep_for=1))
    assert [one.id for one in run.purge().waiting] == ["R0001"]
    later(monkeypatch)
    with pytest.raises(FedletheError, match="key: a certificate has to be signed"):
        run.purge()
    with opened_run(small) as opened:
        assert len(purge_due(opened, KEY).carried) == 1
    assert run.purge().carried == ()


def test_a_purge_that_is_due_is_said_with_its_command(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(run, GONE)
    carry(run, asked, HELD)
    later(monkeypatch)
    with opened_run(run) as opened:
        said = [part for part in tables(carry_out(opened, asked, None, KEY)) if isinstance(part, str)]
    assert any("due since" in part and "fedlethe purge" in part for part in said)
    assert "its purge is due since" in told(run)
