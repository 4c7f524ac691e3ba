# SPDX-License-Identifier: MIT
"""What must be in its place before a purge: keys, names of files, requests of earlier runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import carry_out, erase_unsigned
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from tests.requests.acting import (
    EXACT,
    GONE,
    KEY,
    PLAIN,
    carry_out_alone,
    certified,
    document,
    of_table,
    predicate,
    request,
    trained,
)


def test_a_file_with_another_name_is_not_purged_until_that_is_gone(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "backup"
    os.link(small / "global_checkpoints/round_0002.safetensors", other)
    id = request(small, GONE)
    with pytest.raises(FedletheError, match=r"round_0002\.safetensors: has 1 other names \(hard links\)"):
        carry_out_alone(small, id, PLAIN)
    assert not list(small.rglob("certificate*"))
    other.unlink()
    carry_out_alone(small, id)
    assert not verify_ledger(small).failed


def test_who_lost_its_key_can_be_erased_in_closed_form(closed_form_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed_form_run, tmp_path / "run"))
    (key,) = (run / "keys").glob(f"{GONE}.*.key")
    key.unlink()
    id = request(run, GONE)
    with opened_run(run) as opened:
        carried = carry_out(opened, id, EXACT, KEY, lost={"why": "it burnt", "by": "the officer"})
    assert predicate(certified(carried))["claim"]["kind"] == "exact"
    assert not verify_ledger(run).failed


def test_what_an_earlier_run_keeps_until_a_date_is_not_purged_by_a_later_run(small: Path, tmp_path: Path) -> None:
    carry_out_alone(small, request(small, GONE), replace(PLAIN, keep_for=9))
    later = tmp_path / "later"
    train_run(resolve(document(hospitals=3, rounds=1)), later, after=small / "erasures/0001")
    kept = {path: path.read_bytes() for path in (small / "influence").rglob("*.sealed")}
    id = request(later, "hospital-2")
    with pytest.raises(FedletheError, match=r"run: its request R0001 keeps its traces until .*fedlethe purge"):
        carry_out_alone(later, id, PLAIN)
    assert {path: path.read_bytes() for path in (small / "influence").rglob("*.sealed")} == kept
    assert not list(later.rglob("certificate*"))


def test_a_request_of_an_earlier_run_that_is_half_carried_out_is_finished_first(small: Path, tmp_path: Path) -> None:
    """It was audited in the first run: the models that it made are needed there, and a later run's purge takes them."""
    with opened_run(small) as opened:
        erase(opened, order_erasure(opened, [GONE], replace(PLAIN, keep_for=0)))
    later = tmp_path / "later"
    train_run(resolve(document(hospitals=3, rounds=1)), later, after=small / "erasures/0001")
    half = request(small, "hospital-2")
    with opened_run(small) as opened:
        assert erase_unsigned(opened, half, PLAIN).state == "audited"
    held = {path: path.read_bytes() for path in small.rglob("*.safetensors")}
    id = request(later, "hospital-2")
    with pytest.raises(FedletheError, match=rf"{small}: its request {half} is audited; finish it first"):
        carry_out_alone(later, id, PLAIN)
    assert {path: path.read_bytes() for path in small.rglob("*.safetensors")} == held
    assert not list(later.rglob("certificate*"))
    carry_out_alone(small, half)
    carry_out_alone(later, id)
    assert not verify_ledger(later).failed


def test_a_lost_key_that_is_found_again_is_a_key(three: Path, tmp_path: Path) -> None:
    """Nothing of a refused command says that a key is lost, and a key that was put back is not destroyed as unknown."""
    run = Path(shutil.copytree(three, tmp_path / "run"))
    id, lost = request(run, GONE), {"why": "the drive died", "by": "the officer"}
    keys = {client: next((run / "keys").glob(f"{client}.*.key")) for client in (GONE, "hospital-0")}
    content = {client: key.read_bytes() for client, key in keys.items()}
    plan = replace(PLAIN, method="retrain", options={})
    for client, key in keys.items():
        key.unlink()
        wrong = replace(plan, references=2) if client == GONE else plan  # too few; and the key of who stays does not go
        with opened_run(run) as opened, pytest.raises(FedletheError):
            carry_out(opened, id, wrong, KEY, lost=lost)
        key.write_bytes(content[client])
        key.chmod(0o600)
        assert "keys" not in {check.what for check in verify_ledger(run).failed}
    keys[GONE].unlink()
    with opened_run(run) as opened, pytest.raises(FedletheError, match="why it is a secret"):
        carry_out(opened, id, None, KEY, _stops, lost=lost)
    keys[GONE].write_bytes(content[GONE])
    keys[GONE].chmod(0o600)
    with opened_run(run) as opened:
        purged = predicate(certified(carry_out(opened, id, None, KEY)))["purge"]["runs"][0]
    assert list(purged["keys_destroyed"]) == [GONE]
    assert purged["keys_not_found"]["said to be lost"] == {}
    assert not verify_ledger(run).failed


def _stops(run: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
    raise FedletheError("why it is a secret")


def test_the_new_key_of_a_client_that_lost_a_patient_is_no_key_to_be_lost(patients_table: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", of_table(patients_table))
    id = request(run, "north", patients=["north 3"])
    with opened_run(run) as opened:
        erase_unsigned(opened, id, EXACT)
        old, new = opened.history.store.keys.living("north")
    key = run / f"keys/north.{new}.key"
    content = key.read_bytes()
    key.unlink()
    with opened_run(run) as opened, pytest.raises(FedletheError, match="key of north is missing"):
        carry_out(opened, id, None, KEY, lost={"why": "it burnt", "by": "the officer"})
    key.write_bytes(content)
    key.chmod(0o600)
    with opened_run(run) as opened:
        purged = predicate(certified(carry_out(opened, id, None, KEY)))["purge"]["runs"][0]
    assert purged["keys_destroyed"] == {"north": [old]}
    assert not verify_ledger(run).failed
