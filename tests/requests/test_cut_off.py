# SPDX-License-Identifier: MIT
"""Purges that were cut off, held, or came after another: what is then said of them, and signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedlethe.cli.output.show import tables
from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.request_log import BEGUN
from fedlethe.history.sealing import id_of_file
from fedlethe.learners.training import train_run
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, purge_due
from fedlethe.requests.request import listed
from fedlethe.requests.verify import Verified, verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from tests.requests.acting import KEY, RECOMMENDED, carry, certified, document, erased, request, trained

GONE, OTHER = "hospital-1", "hospital-2"
TOLD = "fedlethe.requests.purge._finish"
"""Where a purge is when the ledger was told of it, and nothing was removed yet."""
HELD = replace(RECOMMENDED, keep_for=1)
FULL = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})


class _Killed(BaseException):
    """Stands for SIGKILL: nothing in fedlethe catches it."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path / "run", document(rounds=2))


def _kill_at(place: str, run: Path, act: Callable[[OpenRun], object]) -> None:
    """Do something with a run that is killed where a function would be called."""

    def killed(*_: object) -> None:
        raise _Killed

    with pytest.MonkeyPatch.context() as patch, opened_run(run) as opened:
        patch.setattr(place, killed)
        with pytest.raises(_Killed):
            act(opened)


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")


def _predicate(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(signing.unchecked(path.read_bytes(), path))["predicate"]
    return found


def _verified(run: Path, certificate: Path) -> Verified:
    public = run.parent / "key.pub"
    public.write_bytes(KEY.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return verify_certificate(certificate, public, run)


def _told(run: Path) -> str:
    return "\n".join(part for part in tables(listed(run)) if isinstance(part, str))


@pytest.mark.parametrize("held", [False, True], ids=["in erase", "in purge"])
@pytest.mark.parametrize("resumed_by", ["erase", "purge"])
def test_a_purge_that_was_cut_off_is_not_done_and_both_commands_finish_it(
    run: Path, held: bool, resumed_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(run, GONE)
    if held:
        carry(run, asked, HELD)
    if held:
        _later(monkeypatch)
        _kill_at(TOLD, run, lambda opened: purge_due(opened, KEY))
    else:
        _kill_at(TOLD, run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    (one,) = listed(run).requests
    assert one.purge == BEGUN
    assert "its purge was cut off" in _told(run)
    assert list(run.glob(f"keys/{GONE}.*.key"))  # which is why it must not be called done
    with opened_run(run) as opened:
        if resumed_by == "purge":
            (carried,) = purge_due(opened, KEY).carried
        else:
            carried = carry_out(opened, asked, None, KEY)
    assert (carried.request.state, carried.request.purge) == ("completed", "done")
    assert not list(run.glob(f"keys/{GONE}.*.key"))
    assert certified(carried).name == "certificate.json"
    assert verify_ledger(run).failed == ()
    assert _verified(run, certified(carried)).failed == ()


def test_what_is_half_carried_out_is_named_by_purge(run: Path) -> None:
    asked = request(run, GONE)
    _kill_at("fedlethe.requests.carry_out.purge", run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    with opened_run(run) as opened:
        result = purge_due(opened, KEY)
    assert [one.id for one in result.unfinished] == [asked]
    assert any(isinstance(part, str) and "not finished: fedlethe erase" in part for part in tables(result))


def test_a_purge_that_is_due_is_said_with_its_command(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(run, GONE)
    carry(run, asked, HELD)
    _later(monkeypatch)
    with opened_run(run) as opened:
        said = [part for part in tables(carry_out(opened, asked, None, KEY)) if isinstance(part, str)]
    assert any("due since" in part and "fedlethe purge" in part for part in said)
    assert "its purge is due since" in _told(run)


@pytest.mark.parametrize("form", ["the file", "its bytes", "its digits"])
def test_a_destroyed_key_is_known_under_any_name(run: Path, form: str) -> None:
    asked = request(run, GONE)
    with opened_run(run) as opened:
        (id,) = opened.history.store.keys.living(GONE)
        key = opened.history.store.keys.files.read(GONE, id)
        content = opened.history.store.keys.files.path(GONE, id).read_bytes()
    carried = carry(run, asked, RECOMMENDED)
    assert _verified(run, certified(carried)).failed == ()
    written = {"the file": content, "its bytes": key.secret, "its digits": key.secret.hex().encode()}[form]
    (run / "keys" / "old").write_bytes(written)
    assert id_of_file(run / "keys" / "old") == id
    (failed,) = _verified(run, certified(carried)).failed
    assert failed.what == "purge"
    assert "keys/old: is a key of hospital-1 that was destroyed, under another name" in failed.words


def test_a_key_that_was_copied_in_the_middle_of_a_purge_stops_the_last_certificate(
    run: Path,
) -> None:
    asked = request(run, GONE)
    _kill_at(TOLD, run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    (key,) = run.glob(f"keys/{GONE}.*.key")
    copy = run / "keys" / "old.key"
    copy.write_bytes(key.read_bytes())
    with opened_run(run) as opened, pytest.raises(FedletheError, match=r"keys/old\.key: is a key of hospital-1"):
        carry_out(opened, asked, None, KEY)
    assert not list(run.glob("erasures/*/certificate.json"))
    copy.unlink()
    assert carry(run, asked).request.purge == "done"


def test_what_remains_is_signed_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The purge of the first, held, comes after the second erasure: its own model is gone by then."""
    carry(run, request(run, GONE), HELD)
    carry(run, request(run, OTHER), replace(HELD, keep_for=5))
    _later(monkeypatch)
    with opened_run(run) as opened:
        first, second = purge_due(opened, KEY).carried
    for carried in (first, second):
        path = certified(carried)
        remains = _predicate(path)["purge"]["remains"]
        assert isinstance(remains, list)
        model = run / "erasures" / carried.erasure.id / "model.safetensors"
        assert ("the model after" in remains) == model.exists()
        assert any(words.startswith("the retained clients' influences, rebased on") for words in remains)
    remains = _predicate(certified(first))["purge"]["remains"]
    assert "the run's model now, which is that of erasure 0002" in str(remains)
    assert "rebased on the model of erasure 0002" in str(remains)


def test_each_certificate_lists_the_keys_of_its_own_purge(run: Path) -> None:
    ids = []
    for client in (GONE, OTHER):
        with opened_run(run) as opened:
            ids += opened.history.store.keys.living(client)
        path = certified(erased(run, client, plan=RECOMMENDED))
        assert [one["keys_destroyed"] for one in _predicate(path)["purge"]["runs"]] == [{client: [ids[-1]]}]


def test_a_later_run_does_not_subtract_what_an_earlier_purge_left_it_without(run: Path, tmp_path: Path) -> None:
    """Its influences of the earlier training were rebased since, on a model that it did not begin from."""
    first = erased(run, GONE, plan=FULL)
    out = tmp_path / "later"
    train_run(resolve(document(rounds=1)), out, after=run / "erasures" / first.erasure.id)
    with opened_run(out) as opened:
        before = erase(
            opened,
            order_erasure(
                opened, [OTHER], ErasurePlan(method="influence", options={"scale": 1.0}, repair={"rounds": 0})
            ),
        )
        assert before.guarantee is None
    erased(run, OTHER, plan=FULL)
    with opened_run(out) as opened:
        for client in (OTHER, "hospital-0"):
            plan = order_erasure(
                opened, [client], ErasurePlan(method="influence", options={"scale": 0.5}, repair={"rounds": 0})
            )
            with pytest.raises(
                FedletheError,
                match=r"/run: each client's summed weighted deltas went with a purge; erase by retraining",
            ):
                erase(opened, plan)
    carried = erased(out, OTHER, plan=ErasurePlan(method="retrain", options={}, mask={}, repair={}))
    assert carried.request.purge == "done"
    assert _verified(out, certified(carried)).failed == ()


def test_a_failed_attempt_s_note_is_not_of_the_next_one(run: Path) -> None:
    (key,) = run.glob(f"keys/{GONE}.*.key")
    aside = run.parent / key.name
    key.rename(aside)
    asked = request(run, GONE)
    with pytest.raises(FedletheError, match=r"retraining needs nothing of it: fedlethe erase .* --method retrain"):
        carry(run, asked, FULL)
    (failed,) = listed(run).requests
    assert (failed.state, "is missing" in failed.note) == ("failed", True)
    aside.rename(key)
    carry(run, asked, FULL)
    (done,) = listed(run).requests
    assert (done.state, done.note) == ("completed", "")


def test_an_entry_among_the_keys_is_named_once(run: Path) -> None:
    (run / "keys" / "sub").mkdir()
    (run / "keys" / "sub" / "file").write_bytes(b"x")
    (run / "keys" / "link").symlink_to("nowhere")
    carried = erased(run, GONE, plan=RECOMMENDED)
    assert sorted(words.rpartition("keys/")[2].partition(":")[0] for words in carried.unnamed) == ["link", "sub/file"]
