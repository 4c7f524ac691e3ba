# SPDX-License-Identifier: MIT
"""What is kept of an erasure, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import Erasure, done, erasures, patients_left, recorded, retraining_examples
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from fedlethe.types import Cost
from tests.erasing.hiding import HOSPITALS, NO_REPAIR, erased

PLAIN = Erasure(
    run=Path("run"),
    id="0001",
    model=Path("model"),
    request={"forget": ["a", "b"]},
    forget=("a", "b"),
    method="influence",
    guarantee=None,
    stages=(),
    cost=Cost(),
    retraining_examples=0,
)


def test_what_was_done_to_whom_is_told_in_words() -> None:
    assert PLAIN.subject == "a, b"
    assert replace(PLAIN, patients={"b": ("1", "2")}).subject == "a, 2 patients of b"
    assert replace(PLAIN, patients={"a": ("1",), "b": ("1", "2")}).subject == "a patient of a, 2 patients of b"
    assert replace(PLAIN, forget=(), joined=("c", "d")).subject == "c, d joined"


def test_without_a_mask_nothing_is_said_of_hiding() -> None:
    assert PLAIN.hiding == ()
    assert replace(PLAIN, not_hidden="why").hiding == ("nothing is claimed of the noise; why",)
    assert not PLAIN.decoyed


def test_a_record_is_read_back_as_it_was_entered(run: OpenRun) -> None:
    first, second = erased(run, repair=NO_REPAIR), erased(run, ["hospital-2"], repair=NO_REPAIR)
    assert erasures(run.history) == [first, second]
    assert recorded(run.history, second.id) == second
    plan = ErasurePlan(method="influence", options={"clip": 0.5}, repair=NO_REPAIR)
    assert done(run.history, order_erasure(run, ["hospital-2"], plan)) == second
    assert done(run.history, order_erasure(run, ["hospital-3"], plan)) is None


def test_a_record_is_tables_all_the_way_down_and_says_nothing_of_where_it_lies(run: OpenRun) -> None:
    made = erased(run, repair=NO_REPAIR)
    facts = json.loads((run.path / "erasures/0001/erasure.json").read_text())
    assert facts["request"]["method"]["name"] == "influence"
    assert facts["request"] == made.request
    assert str(run.path) not in json.dumps(facts)
    assert Erasure.from_dict(facts, run.path) == made
    assert Erasure.from_dict(facts, Path("moved")).model == Path("moved/erasures/0001/model.safetensors")


@pytest.mark.parametrize(
    ("forged", "words"),
    [({"request": "{}"}, "is of an earlier version"), ({"id": "0002"}, "is the record of erasure '0002'")],
)
def test_a_record_that_is_no_such_record_is_refused_in_a_line(
    run: OpenRun, monkeypatch: pytest.MonkeyPatch, forged: dict[str, str], words: str
) -> None:
    facts = {**erased(run, repair=NO_REPAIR).to_dict(), **forged}
    monkeypatch.setattr(type(run.history), "erasure_record", lambda *_: json.dumps(facts))
    with pytest.raises(FedletheError, match=rf"erasures/0001/erasure\.json: {words}"):
        recorded(run.history, "0001")


def test_a_retraining_takes_the_examples_of_who_is_left(run: OpenRun) -> None:
    held = {name: len(run.data.clients[name].train) for name in HOSPITALS}
    epochs = run.config.local.epochs
    assert retraining_examples(run.parts(), ["hospital-1"]) == 2 * epochs * (sum(held.values()) - held["hospital-1"])
    first = erased(run, repair=NO_REPAIR)
    left = sum(held[name] for name in ("hospital-0", "hospital-3"))
    assert retraining_examples(run.parts(first.id), ["hospital-2"]) == 2 * epochs * left
    assert retraining_examples(run.parts(first.id), ["hospital-2"], ["hospital-1"]) == 2 * epochs * (
        left + held["hospital-1"]
    )


def test_patients_who_left_before_count_only_where_their_client_stays(run: OpenRun) -> None:
    (part,) = run.parts()
    parts = (replace(part, patients={"hospital-1": frozenset({"p"})}), replace(part, erased=frozenset({"hospital-2"})))
    assert not patients_left(run.parts(), ["hospital-1"])
    assert patients_left(parts, ["hospital-2"])
    assert not patients_left(parts, ["hospital-1"])
    later = (parts[0], replace(part, erased=frozenset({"hospital-1"})))
    assert not patients_left(later, ["hospital-2"])  # the whole client has gone since
    assert patients_left(later, ["hospital-2"], ["hospital-1"])  # and is back
