# SPDX-License-Identifier: MIT
"""What a certificate says, held against the run: whatever was changed is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError
from fedlethe.files import sha256_of
from fedlethe.history.request_log import moved
from fedlethe.history.sealing import id_of_file
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import erase_unsigned
from fedlethe.requests.verify import verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import (
    EXACT,
    GONE,
    PLAIN,
    RECOMMENDED,
    carry,
    certified,
    document,
    erased,
    of_table,
    predicate,
    request,
    results,
    signed_statement,
    trained,
    verified,
)
from tests.requests.rechaining import rechained

Tamper = Callable[[Path], None]


def test_what_a_certificate_says_is_checked_against_the_run(done: Path) -> None:
    certificate, public = done / "erasures/0001/certificate.json", done.parent / "key.pub"
    alone = verify_certificate(certificate, public, None)
    assert results(alone)["the run"] == "not checked"
    whole = verify_certificate(certificate, public, done)
    assert not whole.failed
    assert {what for what, result in results(whole).items() if result == "not checked"} == {
        "its time",
        "what nobody can check here",
    }
    early = verify_certificate(done / "erasures/0001/certificate-before-purge.json", public, done)
    assert results(early)["purge"] == "not checked"
    assert not verify_ledger(done).failed


def test_a_certificate_of_another_run_does_not_hold(done: Path, tmp_path: Path) -> None:
    twin = trained(tmp_path / "twin", document(rounds=2))  # the same seed, the same models
    erased(twin, GONE)
    assert (twin / "erasures/0001/model.safetensors").read_bytes() == (
        done / "erasures/0001/model.safetensors"
    ).read_bytes()
    for certificate, run in ((done, twin), (twin, done)):
        path = certificate / "erasures/0001/certificate.json"
        verified = verify_certificate(path, done.parent / "key.pub", run)
        assert results(verified)["run"] == "failed"


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
    certificate = signed_statement(run / "erasures/0001/certificate.json")["predicate"]["ledger"]
    database = sqlite3.connect(run / "ledger.db")
    database.executescript(f"DROP TRIGGER undeleted; DELETE FROM events WHERE seq >= {certificate['seq']}")
    (seq, hash) = database.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    database.close()
    with pytest.raises(FedletheError, match=r"ledger\.head names row"):
        verify_ledger(run)
    (run / "ledger.head").write_text(f"{seq} {hash}\n")  # whoever can write the folder can do that, too
    checked = verify_certificate(done / "erasures/0001/certificate.json", done.parent / "key.pub", run)
    assert "head" in {check.what for check in checked.failed}


def test_of_a_patient_it_is_said_that_it_was_one_patient(patients_table: Path, public: Path) -> None:
    run = trained(patients_table.parent / "run", of_table(patients_table))
    carried = erased(run, "north", patients=["north 3"], plan=EXACT)
    said = {check.what: check.words for check in verify_certificate(certified(carried), public, run).checks}
    assert said["statement"].startswith("it says: north (1 of its patients) erased by request R0001; claim: exact")
    stated = predicate(certified(carried))
    assert any("pseudonym" in words for words in stated["purge"]["runs"][0]["remains"])
    assert stated["cost"]["retraining_at_most"] is True  # the rounds do not tell its images from the others


def test_what_must_be_known_of_the_model_is_signed_beside_the_verdict_as_it_was_then(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "the model answers class 0 for every test image"
    with monkeypatch.context() as patch:  # a later version may warn in other words, or of other things
        patch.setattr(Erasure, "warnings", (words,))
        carried = erased(run, GONE)
    assert predicate(certified(carried))["audit"]["warnings"] == [words]
    found = verified(run, certified(carried))
    assert found.failed == ()
    assert f"; audit: not audited; warning: {words}" in next(
        one.words for one in found.checks if one.what == "statement"
    )
    with opened_folder(run) as (_, history):
        moved(history.ledger, carried.request.id, "completed", purge="done", warnings=[])
    (failed,) = verified(run, certified(carried)).failed
    assert failed.what == "audit"


@pytest.mark.parametrize("form", ["the file", "its bytes", "its digits"])
def test_a_destroyed_key_is_known_under_any_name(run: Path, form: str) -> None:
    asked = request(run, GONE)
    with opened_run(run) as opened:
        (id,) = opened.history.store.keys.living(GONE)
        key = opened.history.store.keys.files.read(GONE, id)
        content = opened.history.store.keys.files.path(GONE, id).read_bytes()
    carried = carry(run, asked, RECOMMENDED)
    assert verified(run, certified(carried)).failed == ()
    written = {"the file": content, "its bytes": key.secret, "its digits": key.secret.hex().encode()}[form]
    (run / "keys" / "old").write_bytes(written)
    assert id_of_file(run / "keys" / "old") == id
    (failed,) = verified(run, certified(carried)).failed
    assert failed.what == "purge"
    assert "keys/old: is a key of hospital-1 that was destroyed, under another name" in failed.words


def test_a_claim_is_worked_out_by_verify_even_where_the_record_says_the_same(
    small: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record, ledger and certificate were all made to say it, and signed with the right key."""
    id = request(small, GONE)
    with opened_run(small) as opened:
        erase_unsigned(opened, id, PLAIN)
    place = small / "erasures/0001/erasure.json"
    record = json.loads(place.read_text())
    record["guarantee"] = {"kind": "exact", "statement": "trained without them"}
    place.write_text(json.dumps(record))

    def renew(kind: str, body: dict[str, Any]) -> None:
        if kind == "artefact" and body["path"] == "erasures/0001/erasure.json":
            body |= {"sha256": sha256_of(place), "bytes": place.stat().st_size}

    rechained(small, renew)
    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.requests.certificate_facts.claimed", lambda *_: "exact")
        carried = carry(small, id)
    (failed,) = verify_certificate(certified(carried), public, small).failed
    assert (failed.what, failed.words) == ("claim", "it claims 'exact'; it can be 'evidence' at most")


def test_without_the_run_before_the_claim_is_not_checked(small: Path, tmp_path: Path, public: Path) -> None:
    erased(small, GONE, plan=PLAIN)
    later = tmp_path / "later"
    train_run(resolve(document(hospitals=3, rounds=1)), later, after=small / "erasures/0001")
    path = certified(erased(later, "hospital-2", plan=PLAIN))
    checks = results(verify_certificate(path, public, later))
    assert (checks["claim"], checks["earlier runs"]) == ("ok", "not checked")
    small.rename(tmp_path / "elsewhere")
    away = verify_certificate(path, public, later)
    assert not away.failed
    assert results(away)["claim"] == "not checked"
