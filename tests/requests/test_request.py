# SPDX-License-Identifier: MIT
"""Requests as they are opened, listed and withdrawn."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError, RequestError
from fedlethe.history.chain import canonical
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import carry_out, erase_unsigned
from fedlethe.requests.request import listed, open_request, withdraw
from fedlethe.runs.opening import opened_run
from tests.requests.acting import (
    GONE,
    KEY,
    OTHER,
    PLAIN,
    carry,
    carry_out_alone,
    certified,
    document,
    erased,
    of_table,
    request,
    trained,
)
from tests.requests.rechaining import rechained


@pytest.mark.parametrize(
    "body",
    [
        {"request": "R0001", "state": "completed"},
        {"request": "R0001", "state": "completed", "erasure": "0001", "purge": "done"},
        {"request": "R0001", "state": "running"},
        {"request": "R0001", "state": "audited"},
        {"request": "R0007", "state": "opened"},
    ],
    ids=str,
)
def test_a_state_that_a_request_cannot_have_come_to_be_in(small: Path, body: dict[str, Any]) -> None:
    request(small, GONE)
    row = rechained(small, lambda kind, body: None, ("state", canonical(body)))
    with pytest.raises(FedletheError, match=rf"row {row} \(state\)"):
        listed(small)


def test_a_request_of_nobody_is_no_request(small: Path) -> None:
    request(small, GONE)

    def forge(kind: str, body: dict[str, Any]) -> None:
        if kind == "request":
            body["clients"] = []

    rechained(small, forge)
    with pytest.raises(FedletheError, match=r"\(request\) has a 'clients' that cannot be"):
        listed(small)


def test_a_certificate_that_is_gone_is_told(small: Path) -> None:
    certified(erased(small, GONE, plan=PLAIN)).unlink()
    (problem,) = listed(small).problems
    assert problem.endswith("certificate.json: is missing, though the ledger names it")
    with pytest.raises(FedletheError, match=r"certificate\.json: is missing"):
        carry_out_alone(small, "R0001")


def test_a_patient_s_name_in_any_free_text_is_refused(patients_table: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", of_table(patients_table))
    with opened_run(run) as opened:
        for text in ("because north 3 asked", "NORTH 3"):
            with pytest.raises(FedletheError, match="would be a patient's name"):
                open_request(opened, ["north"], [], text, "the tests")
    request(run, "north", patients=["north 3"])
    for text in (
        "north 3",
        "of patient=north 3",
        "north 3\u2019s wish",
        "#north 3/2",
        "(north 3)",
        "xnorth 3y",
        "North 3 asks",
        "NORTH\u00a03",
    ):
        for reason, by in ((text, "the officer"), ("withdrawn", text)):
            with pytest.raises(FedletheError, match="would be a patient's name"):
                withdraw(run, "R0001", reason, by)
    with (
        opened_run(run) as opened,
        pytest.raises(FedletheError, match="lost: characters 15 to 21 would be a patient's name"),
    ):
        carry_out(opened, "R0001", None, KEY, lost={"why": "the drawer of north 3", "by": "the officer"})
    assert b"north 3" not in b"".join(path.read_bytes() for path in run.iterdir() if path.is_file())


def test_other_clients_with_a_patient_of_the_name_are_told(patients_table: Path, tmp_path: Path) -> None:
    patients_table.write_text(patients_table.read_text().replace("south 2", "north 3"))
    run = trained(tmp_path / "run", of_table(patients_table))
    with opened_run(run) as opened:
        assert open_request(opened, ["north"], ["north 3"], "withdrew", "the tests").namesakes == ["south"]


def test_a_request_that_nothing_was_signed_of_can_be_withdrawn(small: Path) -> None:
    id = request(small, GONE)
    with opened_run(small) as opened:
        assert erase_unsigned(opened, id, PLAIN).state == "audited"
    assert withdraw(small, id, "changed its mind", "the officer").state == "withdrawn"
    id = request(small, GONE)
    carry_out_alone(small, id, replace(PLAIN, method="fine_tune", options={}))
    with pytest.raises(FedletheError, match="cannot be withdrawn any more"):
        withdraw(small, id, "too late", "the officer")


def test_a_patient_may_be_called_as_a_number_of_the_law(patients_table: Path, tmp_path: Path) -> None:
    patients_table.write_text(patients_table.read_text().replace(",north 3,", ",17,"))
    run = trained(tmp_path / "run", of_table(patients_table))
    assert request(run, "north", patients=["17"]) == "R0001"


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
    with (
        opened_run(run) as opened,
        pytest.raises(FedletheError, match="R0001 is open for them already"),
    ):
        open_request(opened, [GONE], [], "another reason", "the tests")
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


def test_where_the_model_went_with_a_later_run_s_purge_the_request_belongs_into_that_run(
    run: Path, tmp_path: Path
) -> None:
    erased(run, GONE, plan=PLAIN)
    train_run(resolve(document(rounds=1)), tmp_path / "later", after=run / "erasures/0001")
    late = request(run, "hospital-3")
    erased(tmp_path / "later", OTHER, plan=PLAIN)
    words = r"was removed on .* \(purge of request R0001 of run .*\).*; go on in that run, which .*: .*/later$"
    with pytest.raises(FedletheError, match=words):
        carry(run, late, PLAIN)
    withdraw(run, late, "it belongs into the later run", "the tests")
    with pytest.raises(FedletheError, match=words):
        request(run, "hospital-3")
    assert [one.id for one in listed(run).requests] == ["R0001", late]
    assert carry(tmp_path / "later", request(tmp_path / "later", "hospital-3"), PLAIN).request.purge == "done"


def test_where_the_rounds_models_went_with_a_later_run_s_purge_the_request_belongs_there(tmp_path: Path) -> None:
    """Also where nobody of the earlier run asked: an erasure without a request led to the later one."""
    run, later = trained(tmp_path / "run", document(rounds=1)), tmp_path / "later"
    with opened_run(run) as opened:
        erase(opened, order_erasure(opened, [GONE], PLAIN))
    train_run(resolve(document(rounds=1)), later, after=run / "erasures/0001")
    erased(later, OTHER, plan=PLAIN)
    with pytest.raises(
        FedletheError, match=r"round_0001.* was removed on .*; go on in that run, which began from this"
    ):
        request(run, "hospital-3")
    assert not listed(run).requests


def test_where_another_model_is_left_it_says_so_and_the_request_begins_from_there(tmp_path: Path) -> None:
    run, later = trained(tmp_path / "run", document(rounds=1)), tmp_path / "later"
    retrain = ErasurePlan(method="retrain", repair={"rounds": 0})
    with opened_run(run) as opened:
        erase(opened, order_erasure(opened, [GONE], PLAIN))
        left = erase(opened, order_erasure(opened, [OTHER], retrain))  # holds nothing of who goes later
    train_run(resolve(document(rounds=1)), later, after=run / "erasures/0001")
    erased(later, OTHER, plan=ErasurePlan(method="retrain", repair={"rounds": 0}))
    asked = request(run, "hospital-3")
    words = rf"go on in that run, which began from this one: {later.resolve()}, or erase .*: {left.id}$"
    with pytest.raises(FedletheError, match=words):
        carry(run, asked, retrain)
    with opened_run(run) as opened, pytest.raises(FedletheError, match=rf"erased already .*, by 0001, .*{words}"):
        erase(opened, order_erasure(opened, [GONE], PLAIN))
    assert carry(run, asked, replace(retrain, after=left.id)).request.purge == "done"


def test_who_was_taken_out_before_the_run_began_is_requested_where_that_was(tmp_path: Path) -> None:
    drawn = document(rounds=2)
    first = trained(tmp_path / "first", drawn)
    with opened_run(first) as opened:
        erase(opened, order_erasure(opened, [GONE], PLAIN))
    later = train_run(resolve(drawn), tmp_path / "later", after=first / "erasures/0001").run
    there = f"'{GONE}' was taken out before this run began, by erasure 0001 of {first}"
    with pytest.raises(RequestError, match=f"{there}; open the request there, .* with the result 0001"):
        request(later, GONE)
    carry(first, request(first, GONE), replace(PLAIN, result="0001"))
    with pytest.raises(RequestError, match=f"{there}, which is certified: nothing is left to do"):
        request(later, GONE)
    assert request(later, OTHER) == "R0001"
