# SPDX-License-Identifier: MIT
"""Requests from their opening to the certificate that an outsider checks."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.requests import signing
from fedlethe.requests.carry_out import purge_due
from fedlethe.requests.request import listed, withdraw
from fedlethe.requests.request_plan import current
from fedlethe.requests.verify import Verified, verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import KEY, RECOMMENDED, carry, certified, document, erased, request, trained

GONE = "hospital-1"
PLAIN_INFLUENCE = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("act") / "run", document(rounds=2))


@pytest.fixture
def run(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "run"))


@pytest.fixture(scope="module")
def done(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose hospital-1 was erased; the key beside it."""
    run = Path(shutil.copytree(untouched, tmp_path_factory.mktemp("done") / "run"))
    erased(run, GONE, plan=replace(RECOMMENDED, references=3))
    _public(run.parent)
    return run


def _public(folder: Path) -> Path:
    path = folder / "key.pub"
    if not path.exists():
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        path.write_bytes(KEY.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def _statement(certificate: Path) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(signing.opened(certificate.read_bytes(), KEY.public, certificate))
    return statement


def _results(verified: Verified) -> dict[str, str]:
    return {check.what: check.result for check in verified.checks}


# Requests


def test_a_request_is_on_record_with_all_that_it_is(run: Path) -> None:
    id = request(run, "hospital-2", GONE, reason="the contract ended")
    (held,) = listed(run).requests
    assert (held.id, held.state, held.clients, held.reason) == (
        id,
        "opened",
        (GONE, "hospital-2"),
        "the contract ended",
    )
    assert (held.by, held.legal_ground) == ("the tests", "GDPR Art. 17(1)")
    assert dt.date.fromisoformat(held.deadline) == dt.date.today() + dt.timedelta(30)
    assert not held.overdue
    assert held.opened[:10] == dt.datetime.now(dt.timezone.utc).date().isoformat()


def test_the_same_request_again_is_the_same_and_one_that_overlaps_is_refused(run: Path) -> None:
    assert request(run, GONE) == request(run, GONE) == "R0001"
    with pytest.raises(FedletheError, match="request R0001 is opened"):
        request(run, GONE, "hospital-2")
    assert request(run, "hospital-2") == "R0002"


def test_withdrawn_requests_stay_on_record_and_are_not_carried_out(run: Path) -> None:
    id = request(run, GONE)
    assert withdraw(run, id, "a mistake", "the tests").state == "withdrawn"
    with pytest.raises(FedletheError, match="was withdrawn"):
        carry(run, id)
    with pytest.raises(FedletheError, match="cannot be withdrawn any more"):
        withdraw(run, id, "again", "the tests")
    assert request(run, GONE) == "R0002"
    assert [held.state for held in listed(run).requests] == ["withdrawn", "opened"]
    assert listed(run).requests[0].note == "a mistake"


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
    assert carry(run, id, PLAIN_INFLUENCE).request.state == "completed"
    assert carry(run, id).request.state == "completed"  # asked again it says so, and does nothing
    assert len(list((run / "erasures").glob("0*"))) == 1
    with pytest.raises(FedletheError, match="erased already, by request R0001"):
        request(run, GONE)


def test_one_after_the_other_and_not_across(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = request(run, GONE), request(run, "hospital-2")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.requests.carry_out.issue", killed)
        with pytest.raises(KeyboardInterrupt):
            carry(run, first, PLAIN_INFLUENCE)
    assert [held.state for held in listed(run).requests] == ["audited", "opened"]
    with pytest.raises(FedletheError, match="request R0001 is audited; finish it first"):
        carry(run, second)
    with pytest.raises(FedletheError, match="begun in another way"):
        carry(run, first, RECOMMENDED)
    carry(run, first)
    assert carry(run, second, PLAIN_INFLUENCE).erasure.after == "0001"


# The certificate


def test_the_certificate_is_a_statement_about_the_models_before_and_after(untouched: Path, done: Path) -> None:
    folder = done / "erasures/0001"
    statement = _statement(folder / "certificate.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    before, after = statement["subject"]
    files = {
        "model before": untouched / "global_checkpoints/round_0002.safetensors",
        "model after": folder / "model.safetensors",
    }
    for subject, (name, path) in zip((before, after), files.items(), strict=True):
        assert subject["name"].startswith(name)
        assert subject["digest"]["sha256"] == _sha256(path)
    predicate = statement["predicate"]
    assert predicate["claim"]["kind"] == "evidence"
    assert predicate["erasure"]["method"] == {"name": "influence", "scale": 0.75, "clip": "inf", "renormalise": False}
    assert predicate["request"]["reason"] == "withdrew"
    assert predicate["run"]["seed"] == 0
    assert predicate["cost"]["clients"] == ["hospital-0", "hospital-2", "hospital-3"]
    assert predicate["audit"]["references"] == 3
    verdicts = {found["audit"]: (found["verdict"], found["statement"]) for found in predicate["audit"]["findings"]}
    assert verdicts["membership"] == ("cannot be shown", "it takes 3 models of each kind, there are 1")
    accuracy = next(found for found in predicate["audit"]["findings"] if found["audit"] == "utility")["measured"]
    assert len(accuracy["references"]) == 3
    assert accuracy["details"]["accuracy_low"] < accuracy["details"]["accuracy"] < accuracy["details"]["accuracy_high"]
    purge = predicate["purge"]
    assert purge["state"] == "done"
    assert any(file["path"] == f"influence/{GONE}/round_0002.sealed" for file in purge["runs"][0]["files"])
    assert list(purge["runs"][0]["keys_destroyed"]) == [GONE]
    assert "a copy that was made of it before, keys included, can be read" in purge["backups"]
    planned = _statement(folder / "certificate-before-purge.json")["predicate"]["purge"]
    assert planned["state"].startswith("ordered")
    assert {file["path"] for file in planned["runs"][0]["files"]} == {
        file["path"] for file in purge["runs"][0]["files"]
    }


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_words_are_as_strong_as_what_is_known(run: Path) -> None:
    exact = erased(run, GONE, plan=ErasurePlan(method="retrain", options={}, mask={}, repair={}))
    claim = _statement(certified(exact))["predicate"]["claim"]
    assert claim["kind"] == "exact"
    assert claim["method"] == "trained from the initial model on the retained clients alone"
    assert _statement(certified(exact))["predicate"]["audit"]["made"] is False


def test_what_a_certificate_says_is_checked_against_the_run(done: Path) -> None:
    certificate, public = done / "erasures/0001/certificate.json", done.parent / "key.pub"
    alone = verify_certificate(certificate, public, None)
    assert _results(alone)["the run"] == "not checked"
    whole = verify_certificate(certificate, public, done)
    assert not whole.failed
    assert {what for what, result in _results(whole).items() if result == "not checked"} == {
        "what nobody can check here"
    }
    early = verify_certificate(done / "erasures/0001/certificate-before-purge.json", public, done)
    assert _results(early)["purge"] == "not checked"
    assert not verify_ledger(done).failed


@given(st.data())
def test_any_flipped_byte_of_a_certificate(done: Path, data: st.DataObject) -> None:
    content = bytearray((done / "erasures/0001/certificate.json").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    flipped = done.parent / "flipped.json"
    flipped.write_bytes(content)
    with pytest.raises(FedletheError, match=r"flipped\.json"):
        verify_certificate(flipped, done.parent / "key.pub", None)


@pytest.mark.parametrize("lacking", ["claim", "audit", "request", "erasure", "ledger", "purge", "run"])
def test_a_statement_that_is_signed_and_lacks_a_part_is_refused_in_one_line(
    lacking: str, done: Path, tmp_path: Path
) -> None:
    statement = _statement(done / "erasures/0001/certificate.json")
    del statement["predicate"][lacking]
    path = tmp_path / "short.json"
    path.write_bytes(signing.signed(chain.canonical(statement).encode(), KEY))
    with pytest.raises(FedletheError, match="not written as this version"):
        verify_certificate(path, done.parent / "key.pub", done)


def test_a_certificate_of_another_run_does_not_hold(done: Path, tmp_path: Path) -> None:
    twin = trained(tmp_path / "twin", document(rounds=2))  # the same seed, the same models
    erased(twin, GONE)
    assert (twin / "erasures/0001/model.safetensors").read_bytes() == (
        done / "erasures/0001/model.safetensors"
    ).read_bytes()
    for certificate, run in ((done, twin), (twin, done)):
        path = certificate / "erasures/0001/certificate.json"
        verified = verify_certificate(path, done.parent / "key.pub", run)
        assert _results(verified)["run"] == "failed"


Tamper = Callable[[Path], None]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _restored_copy(run: Path) -> None:
    """Somebody puts a file of the erased client back."""
    (run / f"influence/{GONE}").mkdir()
    (run / f"influence/{GONE}/round_0002.sealed").write_bytes(b"from a backup")


def _key_put_back(run: Path) -> None:
    with opened_folder(run) as (_, history):
        (id,) = history.store.keys.destroyed()[GONE]
    (run / f"keys/{GONE}.{id}.key").write_bytes(b"from a backup")
    (run / f"keys/{GONE}.{id}.key").chmod(0o600)


@pytest.mark.parametrize(
    ("tamper", "certificate_says", "ledger_says"),
    [
        (lambda run: _flip(run / "erasures/0001/model.safetensors"), "model after", "files"),
        (lambda run: (run / "erasures/0001/model.safetensors").unlink(), "model after", "files"),
        (lambda run: _flip(run / "global_checkpoints/round_0000.safetensors"), "files", "files"),
        (lambda run: (run / "run.toml").write_text((run / "run.toml").read_text() + "\n"), "configuration", "files"),
        (_restored_copy, "purge", "files"),
        (_key_put_back, "purge", "keys"),
        (lambda run: (run / "influence/stray.sealed").write_bytes(b"x"), None, "strays"),
    ],
)
def test_what_was_changed_in_the_run_is_named(
    tamper: Tamper, certificate_says: str | None, ledger_says: str, done: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(done, tmp_path / "run"))
    tamper(run)
    checked = verify_certificate(run / "erasures/0001/certificate.json", done.parent / "key.pub", run)
    first = checked.failed[0].what if checked.failed else None
    assert first == certificate_says
    assert ledger_says in {check.what for check in verify_ledger(run).failed}


def test_rows_taken_off_the_end_show_against_a_certificate(done: Path, tmp_path: Path) -> None:
    import sqlite3

    run = Path(shutil.copytree(done, tmp_path / "run"))
    certificate = _statement(run / "erasures/0001/certificate.json")["predicate"]["ledger"]
    database = sqlite3.connect(run / "ledger.db")
    database.executescript(f"DROP TRIGGER undeleted; DELETE FROM events WHERE seq >= {certificate['seq']}")
    (seq, hash) = database.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    database.close()
    with pytest.raises(FedletheError, match=r"ledger\.head names row"):
        verify_ledger(run)
    (run / "ledger.head").write_text(f"{seq} {hash}\n")  # whoever can write the folder can do that, too
    checked = verify_certificate(done / "erasures/0001/certificate.json", done.parent / "key.pub", run)
    assert "head" in {check.what for check in checked.failed}


# Kept for a while


def test_traces_that_are_kept_for_a_while_go_when_their_date_has_come(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = erased(run, GONE, plan=replace(PLAIN_INFLUENCE, keep_for=90))
    assert certified(held).name == "certificate-before-purge.json"
    due = (dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(90)).isoformat()
    assert held.request.purge == due
    assert _statement(certified(held))["predicate"]["purge"]["until"] == due
    second = erased(run, "hospital-2", plan=PLAIN_INFLUENCE)  # which goes at once, and begins from the first
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


# What goes wrong


def test_keys_that_are_kept_apart_are_named_in_the_certificate(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    run = trained(tmp_path / "run", document(rounds=1))
    backup = Path(shutil.copytree(run, tmp_path / "backup"))
    assert not (run / "keys").exists()
    result = erased(run, GONE, plan=PLAIN_INFLUENCE)
    assert "copies of the folder cannot be read" in _statement(certified(result))["predicate"]["purge"]["backups"]
    with opened_folder(backup) as (_, history):  # the backup is older than the erasure, and of no use for it any more
        assert history.influence("hospital-2").numel() > 0
        with pytest.raises(FedletheError, match=f"this key of {GONE} is missing"):
            history.influence(GONE)


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
            carry(run, asked, PLAIN_INFLUENCE)
        assert "\n" not in str(error.value)
        assert listed(run).requests[0].state == "failed"
        path.write_bytes(content)
    path.write_bytes(content)
    path.chmod(0o600)
    assert carry(run, asked).request.state == "completed"


def test_a_clock_that_is_behind_stops_what_hangs_on_dates(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(run, GONE)
    monkeypatch.setattr(chain, "clock", lambda: "2020-01-01T00:00:00+00:00")
    for act in (lambda: carry(run, asked, PLAIN_INFLUENCE), lambda: request(run, "hospital-2")):
        with pytest.raises(FedletheError, match=r"the clock says 2020-01-01.*set the clock right"):
            act()
    monkeypatch.undo()
    now = dt.datetime.now(dt.timezone.utc)
    monkeypatch.setattr(chain, "clock", lambda: (now - dt.timedelta(minutes=2)).isoformat(timespec="seconds"))
    assert carry(run, asked, PLAIN_INFLUENCE).request.state == "completed"  # clocks are set by a little all the time
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
            carry(run, asked, PLAIN_INFLUENCE)
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
