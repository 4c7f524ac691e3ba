# SPDX-License-Identifier: MIT
"""The two certificates: what stands between the first and the second, and stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedlethe.errors import FedletheError
from fedlethe.files import sha256_of
from fedlethe.history import chain
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, purge_due
from fedlethe.requests.certificate import COMPARED
from fedlethe.requests.certificate_facts import statement_of
from fedlethe.requests.statement import Statement
from fedlethe.runs.opening import opened_run
from tests.requests.acting import (
    GONE,
    KEY,
    PLAIN,
    RECOMMENDED,
    carry,
    carry_out_alone,
    certified,
    kill_at,
    later,
    predicate,
    request,
    results,
    verified,
)
from tests.requests.rechaining import rechained

TOLD = "fedlethe.requests.purge._finish"
"""Where a purge is when the ledger was told of it, and nothing was removed yet."""


def _entered_anew(run: Path, path: str, change: Any = None) -> None:
    """Change a JSON file, and make the ledger anew with its hash."""
    place = run / path
    record = json.loads(place.read_text())
    change(record)
    place.write_text(json.dumps(record))
    hash, size = sha256_of(place), place.stat().st_size

    def renew(kind: str, body: dict[str, Any]) -> None:
        if kind == "artefact" and body["path"] == path:
            body |= {"sha256": hash, "bytes": size}

    rechained(run, renew)


def test_a_ledger_that_was_made_anew_after_the_first_certificate(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(small, GONE)
    carry_out_alone(small, id, replace(PLAIN, keep_for=1))

    def forge(record: dict[str, Any]) -> None:
        record["stages"][-1]["evaluation"]["overall"]["auc"] = 0.999

    _entered_anew(small, "erasures/0001/erasure.json", forge)
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with (
        opened_run(small) as opened,
        pytest.raises(FedletheError, match=r"certificate.*head that is not in the ledger"),
    ):
        purge_due(opened, KEY)
    assert not (small / "erasures/0001/certificate.json").exists()
    assert list((small / "influence").glob(f"{GONE}/*"))


def test_a_purge_before_the_date_that_was_signed_is_refused_and_told(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = request(small, GONE)
    carry_out_alone(small, id, replace(PLAIN, keep_for=1))
    first = small / "erasures/0001/certificate-before-purge.json"
    assert not verified(small, first).failed
    today = chain.clock()[:10]

    def earlier(kind: str, body: dict[str, Any]) -> None:
        if kind == "state" and "purge" in body:
            body["purge"] = today

    rechained(small, earlier)
    assert results(verified(small, first))["purge"] == "failed"
    with opened_run(small) as opened:
        with pytest.raises(FedletheError, match=rf"first certificate keeps the traces until .*, the ledger.*{today}"):
            purge_due(opened, KEY)
        assert list((small / "influence").glob(f"{GONE}/*"))
        # Somebody whose program does not look purges all the same.
        monkeypatch.setattr("fedlethe.requests.carry_out.demand_as_certified", lambda *_: None)
        (carried,) = purge_due(opened, KEY).carried
    for certificate in (first, certified(carried)):
        assert results(verified(small, certificate))["purge"] == "failed"


def test_another_signing_key_for_the_second_certificate_is_told(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(small, GONE)
    carry_out_alone(small, id, replace(PLAIN, keep_for=1))
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    other = signing.SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with opened_run(small) as opened:
        (carried,) = purge_due(opened, other).carried
    said = predicate(certified(carried))["purge"]["first_certificate"]
    assert said == f"It was signed with another key, {KEY.public.id[:16]}, which was not checked here, and {COMPARED}."


def test_a_key_that_was_copied_in_the_middle_of_a_purge_stops_the_last_certificate(
    run: Path,
) -> None:
    asked = request(run, GONE)
    kill_at(TOLD, run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    (key,) = run.glob(f"keys/{GONE}.*.key")
    copy = run / "keys" / "old.key"
    copy.write_bytes(key.read_bytes())
    with opened_run(run) as opened, pytest.raises(FedletheError, match=r"keys/old\.key: is a key of hospital-1"):
        carry_out(opened, asked, None, KEY)
    assert not list(run.glob("erasures/*/certificate.json"))
    copy.unlink()
    assert carry(run, asked).request.purge == "done"


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("evaluation", lambda said: replace(said, figures={**said.figures, "evaluation": {"before": 1, "after": 2}})),
        ("run", lambda said: replace(said, run={**said.run, "seed": 7})),
        ("run", lambda said: replace(said, run={**said.run, "identity": "by their seal"})),
        ("subject", lambda said: replace(said, after=replace(said.after, sha256="0" * 64))),
        ("not_covered", lambda said: replace(said, not_covered=())),
    ],
)
def test_what_the_run_says_otherwise_than_the_first_certificate_stops_the_purge(
    part: str, change: Callable[[Statement], Statement], small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = request(small, GONE)
    carry_out_alone(small, id, replace(PLAIN, keep_for=1))
    traces = set((small / "influence").rglob("*.sealed"))
    later(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.requests.certificate.statement_of", lambda *held: change(statement_of(*held)))
        with opened_run(small) as opened, pytest.raises(FedletheError, match=rf"says otherwise of {part} than the run"):
            purge_due(opened, KEY)
    assert set((small / "influence").rglob("*.sealed")) == traces
    assert not (small / "erasures/0001/certificate.json").exists()
    with opened_run(small) as opened:
        assert len(purge_due(opened, KEY).carried) == 1


def test_versions_of_the_code_may_change_between_the_two(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out_alone(small, request(small, GONE), replace(PLAIN, keep_for=1))
    later(monkeypatch)
    monkeypatch.setattr("fedlethe.requests.certificate_facts.VERSION", "9.9.9")
    with opened_run(small) as opened:
        (carried,) = purge_due(opened, KEY).carried
    said = predicate(certified(carried))
    assert said["run"]["code"]["fedlethe"] == "9.9.9"
    assert said["purge"]["first_certificate"] == f"It was signed with the same key, and {COMPARED}."
