# SPDX-License-Identifier: MIT
"""Who repairs an erased model, and how the repair is written down."""

from __future__ import annotations

import json
from functools import partial

import pytest

from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.repairing import repairers
from fedlethe.federation.repair import Repair
from fedlethe.privacy.hiding import rounded_up
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from fedlethe.unlearning import METHODS
from tests.erasing.hiding import HOSPITALS, candidates, erased

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_those_who_repair_are_known_and_the_rest_hide_each_other(run: OpenRun) -> None:
    erasure = erased(run, mask={"epsilon": 3.0}, repair={"rounds": 2, "clients": 1})
    assert erasure.hidden is not None
    (worker,) = erasure.cost.clients
    assert erasure.hidden.among == tuple(name for name in HOSPITALS if name != worker)
    assert worker != "hospital-1"
    assert f"sees that {worker} repair" in erasure.hidden.covers
    assert [stage.name for stage in erasure.stages][-1] == "repaired 2"
    masked = Span.of([model for name, model in zip(HOSPITALS, candidates(run), strict=True) if name != worker])
    assert erasure.hidden.distance == rounded_up(masked.distance)


def test_who_repairs_does_not_follow_from_who_asked_alone(run: OpenRun) -> None:
    chosen: set[str] = set()
    built = order_erasure(
        run, ["hospital-1"], ErasurePlan(method="influence", mask={"epsilon": 1.0}, repair={"rounds": 1, "clients": 1})
    )
    for number in range(12):
        chosen.update(repairers(run, built, run.history, partial(number.to_bytes, 32, "big")) or ())
    assert chosen == set(HOSPITALS) - {"hospital-1"}


def test_those_who_repaired_before_repair_again(run: OpenRun) -> None:
    """Else who is in both sets of candidates is fewer than who is in each."""
    among = []
    for clients, epsilon in ((1, 1.0), (2, 1.0), (1, 2.0)):
        hidden = erased(run, mask={"epsilon": epsilon}, repair={"rounds": 1, "clients": clients}).hidden
        assert hidden is not None
        among.append(set(hidden.among))
    assert among[1] < among[0] == among[2]


def test_a_request_without_a_batch_size_is_written_as_before_there_was_one() -> None:
    def repair(**fields: int) -> object:
        request = ErasureOrder(
            forget=("a",), method_name="influence", method=METHODS["influence"](), repair=Repair(**fields)
        )
        return json.loads(request.canonical())["repair"]

    before = {"rounds": 1, "epochs": None, "ratio": 1.0, "learning_rate": None}
    assert repair() == before
    assert repair(batch_size=8) == {**before, "batch_size": 8}
