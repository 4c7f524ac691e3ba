# SPDX-License-Identifier: MIT
"""What a certificate says of the purge is what lies in the folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.pages.report import report
from fedlethe.requests.carry_out import purge_due
from fedlethe.requests.verify import verify_certificate
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import (
    GONE,
    KEY,
    OTHER,
    PLAIN,
    RECOMMENDED,
    carry,
    certified,
    document,
    erased,
    later,
    predicate,
    request,
    signed_statement,
    trained,
)

RETRAIN = ErasurePlan(method="retrain", repair={"rounds": 0})
HELD = replace(RECOMMENDED, keep_for=1)


def test_copies_in_the_run_folder_are_named_by_the_certificate_and_by_verify(small: Path, public: Path) -> None:
    for copy in ("backup.bin", "global_checkpoints/old.pt", "erasures.bak"):
        shutil.copy(small / "global_checkpoints/round_0002.safetensors", small / copy)
    with opened_run(small) as opened:
        report(opened)
    carried = erased(small, GONE, plan=PLAIN)
    named = [" ".join(words.split(": ")[1:2]) for words in carried.unnamed]
    assert named == ["backup.bin", "erasures.bak", "global_checkpoints/old.pt"]  # the pages went with the purge
    assert predicate(certified(carried))["purge"]["unnamed"] == list(carried.unnamed)
    first = predicate(certified(carried).with_name("certificate-before-purge.json"))
    assert first["purge"]["pages"].endswith(
        "pages and pictures of `report`, which can show images of the clients, lie in the run folders; the purge "
        "removes them"
    )
    assert predicate(certified(carried))["purge"]["pages"] == "no page or picture of `report` lies in the run folders"
    assert not any("was ever in the run folder" in words for words in first["not_covered"])
    checks = {check.what: check for check in verify_certificate(certified(carried), public, small).checks}
    assert checks["other files"].result == "not checked"
    assert all(copy in checks["other files"].words for copy in named)


def test_every_model_that_stays_is_in_the_certificate(short: Path) -> None:
    with opened_run(short) as opened:
        both = erase(opened, order_erasure(opened, [GONE, OTHER], RETRAIN)).id
    path = certified(erased(short, GONE, plan=RETRAIN))
    remains = _remains(path)
    assert (short / "erasures" / both / "model.safetensors").exists()
    assert any(words.startswith(f"the model of erasure {both}, which holds nothing of them") for words in remains)
    before = _remains(path.with_name("certificate-before-purge.json"))
    assert [words for words in before if "model" in words] == [words for words in remains if "model" in words]
    living = {one.parent.name for one in short.glob("erasures/*/model.safetensors")}
    models = [words for words in remains if words.startswith(("the model", "the run's model"))]
    assert len(models) == len(living)


def _remains(certificate: Path) -> list[str]:
    found: list[str] = predicate(certificate)["purge"]["runs"][0]["remains"]
    return found


def test_what_remains_is_signed_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The purge of the first, held, comes after the second erasure: its own model is gone by then."""
    carry(run, request(run, GONE), HELD)
    carry(run, request(run, OTHER), replace(HELD, keep_for=5))
    later(monkeypatch)
    with opened_run(run) as opened:
        first, second = purge_due(opened, KEY).carried
    for carried in (first, second):
        path = certified(carried)
        remains = _remains(path)
        model = run / "erasures" / carried.erasure.id / "model.safetensors"
        assert ("the model after" in remains) == model.exists()
        assert any(words.startswith("influences of hospital-0, hospital-3, rebased on") for words in remains)
    remains = _remains(certified(first))
    assert "the run's model now, which is that of erasure 0002" in str(remains)
    assert "rebased on the model of erasure 0002" in str(remains)


def test_each_certificate_lists_the_keys_of_its_own_purge(run: Path) -> None:
    ids = []
    for client in (GONE, OTHER):
        with opened_run(run) as opened:
            ids += opened.history.store.keys.living(client)
        path = certified(erased(run, client, plan=RECOMMENDED))
        assert [one["keys_destroyed"] for one in predicate(path)["purge"]["runs"]] == [{client: [ids[-1]]}]


def test_keys_that_are_kept_apart_are_named_in_the_certificate(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    run = trained(tmp_path / "run", document(rounds=1))
    backup = Path(shutil.copytree(run, tmp_path / "backup"))
    assert not (run / "keys").exists()
    result = erased(run, GONE, plan=PLAIN)
    said = signed_statement(certified(result))["predicate"]["purge"]
    assert "the sealed files in a copy of it, which are those of single clients, cannot be read" in said["backups"]
    with opened_folder(backup) as (_, history):  # the backup is older than the erasure, and of no use for it any more
        assert history.influence("hospital-2").numel() > 0
        with pytest.raises(FedletheError, match=f"this key of {GONE} is missing"):
            history.influence(GONE)


def test_keys_that_were_moved_out_of_the_run_folder_are_in_the_copies_from_before(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_folder(small) as (_, history):
        vault = tmp_path / "vault" / history.ledger.run_id
    vault.parent.mkdir(mode=0o700)
    (small / "keys").rename(vault)
    monkeypatch.setenv("FEDLETHE_KEYS", str(vault.parent))
    said = predicate(certified(erased(small, GONE, plan=PLAIN)))["purge"]
    assert said["keys_apart"] is True
    assert said["backups"].startswith("Keys were kept in a run folder: in a copy that was made of it before")
