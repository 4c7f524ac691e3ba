# SPDX-License-Identifier: MIT
"""A purge says of keys what it did to them: those that are not there stop it, wherever they went."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.sealing import Keys
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, purge_due
from fedlethe.requests.request import listed
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import KEY, carry, certified, document, request, results, trained, verified

GONE = "hospital-1"
PLAIN = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})


def _keys(run: Path) -> dict[str, Any]:
    (certificate,) = run.glob("erasures/*/certificate.json")
    statement = json.loads(signing.opened(certificate.read_bytes(), KEY.public, certificate))
    facts: dict[str, Any] = statement["predicate"]["purge"]["runs"][0]
    return facts


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path / "run", document(hospitals=3, rounds=1))


def _key_file(run: Path) -> Path:
    (path,) = (run / "keys").glob(f"{GONE}.*.key")
    return path


def _hidden(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _another(path: Path) -> None:
    path.write_bytes(b"A" * 43 + b"=\n")


def _linked(path: Path) -> None:
    os.link(path, path.parent.parent / "a second name")


def _a_link(path: Path) -> None:
    path.rename(path.parent.parent / "the key itself")
    path.symlink_to(path.parent.parent / "the key itself")


@pytest.mark.parametrize("done", [_hidden, _emptied, _another, _linked, _a_link])
def test_nothing_is_signed_or_purged_while_a_key_is_not_what_it_should_be(run: Path, done: Any) -> None:
    id, path = request(run, GONE), _key_file(run)
    with opened_run(run) as opened:  # erased, so that nothing is needed of the key but its end
        from fedlethe.requests.carry_out import erase_unsigned

        erase_unsigned(opened, id, PLAIN)
    content = path.read_bytes()
    done(path)
    before = set(run.rglob("*.sealed"))
    with pytest.raises(FedletheError, match=path.name) as error:
        carry(run, id)
    assert "\n" not in str(error.value)
    assert not list(run.rglob("certificate*"))
    assert set(run.rglob("*.sealed")) == before
    for other in ("a second name", "the key itself", "keys/elsewhere"):
        (run / other).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    carry(run, id)
    assert list(_keys(run)["keys_destroyed"]) == [GONE]
    assert not verify_ledger(run).failed


@pytest.mark.parametrize("place", ["keys/sub/a.key", "erasures/notes.txt", ".hidden"])
def test_a_copy_of_the_key_in_the_run_folder_stops_the_purge(run: Path, place: str) -> None:
    id, path = request(run, GONE), _key_file(run)
    (run / place).parent.mkdir(exist_ok=True)
    (run / place).write_bytes(path.read_bytes())
    with pytest.raises(FedletheError, match="is a copy of a key"):
        carry(run, id, PLAIN)
    assert path.exists()
    (run / place).unlink()
    assert carry(run, id).request.state == "completed"


def test_keys_copied_to_a_vault_are_destroyed_in_the_run_folder_too(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_folder(run) as (_, history):
        vault = tmp_path / "vault" / history.ledger.run_id
    path = _key_file(run)
    shutil.copytree(run / "keys", vault)
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    carry(run, request(run, GONE), PLAIN)
    assert not path.exists()
    assert not (vault / path.name).exists()
    assert list(_keys(run)["keys_destroyed"]) == [GONE]


def test_a_key_that_is_said_to_be_lost_is_certified_as_that(run: Path) -> None:
    id, path = request(run, GONE), _key_file(run)
    with opened_run(run) as opened:
        from fedlethe.requests.carry_out import erase_unsigned

        erase_unsigned(opened, id, PLAIN)
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(FedletheError, match="--lost-keys"):
        carry(run, id)
    with opened_run(run) as opened:
        carry_out(opened, id, None, KEY, lost={"why": "the disk broke", "by": "the tests"})
    facts = _keys(run)
    assert facts["keys_destroyed"] == {}
    assert facts["keys_not_found"]["said to be lost"] == {GONE: [path.name.split(".")[-2]]}
    (certificate,) = run.glob("erasures/*/certificate.json")
    assert not verified(run, certificate).failed
    for name in ("zz.txt", path.name):  # found after all
        path.with_name(name).write_bytes(kept)
        path.with_name(name).chmod(0o600)
        assert results(verified(run, certificate))["purge"] == "failed"
        assert verify_ledger(run).failed
        path.with_name("zz.txt").unlink(missing_ok=True)
    with opened_folder(run) as (_, history), history.locked():
        assert not path.exists()


def test_keys_that_lie_where_the_ledger_says_are_found_without_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`erase` with FEDLETHE_KEYS, `purge` from a shell without it, or with another: the key does not outlive it."""
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    run = trained(tmp_path / "run", document(hospitals=3, rounds=1))
    (path,) = (tmp_path / "vault").rglob(f"{GONE}.*.key")
    carry(
        run, request(run, GONE), ErasurePlan(method="influence", options={}, mask={}, repair={"rounds": 0}, keep_for=1)
    )
    monkeypatch.setattr(chain, "clock", lambda: "2099-01-01T00:00:00+00:00")
    for elsewhere in (None, tmp_path / "another"):
        copy = Path(shutil.copytree(run, tmp_path / f"copy {elsewhere is None}"))
        monkeypatch.delenv("FEDLETHE_KEYS", raising=False)
        if elsewhere is not None:
            monkeypatch.setenv("FEDLETHE_KEYS", str(elsewhere))
        content = path.read_bytes()
        with opened_run(copy) as opened:
            (carried,) = purge_due(opened, KEY).carried
        assert certified(carried).name == "certificate.json"
        assert not path.exists()
        assert list(_keys(copy)["keys_destroyed"]) == [GONE]
        path.write_bytes(content)
        path.chmod(0o600)


def test_a_vault_that_was_moved_stops_the_purge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    run = trained(tmp_path / "run", document(hospitals=3, rounds=1))
    id = request(run, GONE)
    (tmp_path / "vault").rename(tmp_path / "moved")
    with pytest.raises(FedletheError, match=rf"vault.*{GONE}"):
        carry(run, id, PLAIN)
    assert listed(run).requests[0].state != "completed"
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "moved"))
    assert carry(run, id).request.state == "completed"
    assert not list((tmp_path / "moved").rglob(f"{GONE}.*"))
    facts = _keys(run)
    assert (list(facts["keys_destroyed"]), [Path(place).parent.name for place in facts["keys_elsewhere"]]) == (
        [GONE],
        ["vault"],
    )


def test_a_kill_between_the_end_of_a_key_and_its_row(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destroy = Keys.destroy

    def killed(keys: Keys, client: str, ids: list[str]) -> None:
        destroy(keys, client, ids)
        raise KeyboardInterrupt

    id = request(run, GONE)
    with monkeypatch.context() as patch:
        patch.setattr(Keys, "destroy", killed)
        with pytest.raises(KeyboardInterrupt):
            carry(run, id, PLAIN)
    assert not list((run / "keys").glob(f"{GONE}.*"))
    carry(run, id)
    facts = _keys(run)
    assert facts["keys_destroyed"] == {}
    assert list(facts["keys_not_found"]["when the purge was resumed"]) == [GONE]
    assert not verify_ledger(run).failed


def test_from_the_command_line(run: Path, tmp_path: Path) -> None:
    signing.new_key(tmp_path / "k")

    def fedlethe(*arguments: str | Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "fedlethe", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    request(run, GONE)
    act = ("erase", run, "--request", "R0001", "--key", tmp_path / "k")
    path = _key_file(run)
    path.rename(tmp_path / path.name)
    code, errors = fedlethe(*act, "--method", "retrain")
    assert (code, errors.count("\n")) == (2, 1)
    assert "--lost-keys" in errors
    assert fedlethe(*act, "--lost-keys", "the disk broke")[0] == 0
