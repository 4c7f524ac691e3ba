# SPDX-License-Identifier: MIT
"""From a plan to an order in a run that is open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure, order_for_nobody, order_of
from fedlethe.errors import ConfigError, RequestError
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import NO_REPAIR, erased

PLAN = ErasurePlan(method="influence", repair=NO_REPAIR)


def test_an_order_for_nobody_is_one_but_for_the_names(run: OpenRun) -> None:
    nobody, somebody = order_for_nobody(run, PLAN), order_erasure(run, ["hospital-1"], PLAN)
    assert nobody.forget == ()
    assert (nobody.method, nobody.repair, nobody.after) == (somebody.method, somebody.repair, None)
    assert somebody.forget == ("hospital-1",)


def test_what_was_made_is_ordered_again_for_its_audit(run: OpenRun) -> None:
    first = erased(run, repair=NO_REPAIR)
    second = erased(run, ["hospital-2"], repair=NO_REPAIR, after=first.id)
    order = order_of(run, second)
    assert (order.forget, order.after, dict(order.patients)) == (("hospital-2",), first.id, {})


def test_a_networks_patients_are_erased_by_a_request(run: OpenRun) -> None:
    with pytest.raises(ConfigError, match="erased by a request, and purged with it"):
        order_erasure(run, ["hospital-1"], ErasurePlan(method="influence", options={"patients": ["p"]}))


def test_more_decoys_than_there_are_others_are_refused(run: OpenRun) -> None:
    with pytest.raises(RequestError, match="3 other clients are there, and one must be left"):
        order_erasure(run, ["hospital-1"], ErasurePlan(method="influence", decoys=3))


@pytest.mark.parametrize("given", [{"references": 5}, {"keep_for": 3}, {"result": "0001"}])
def test_what_belongs_to_a_request_is_not_passed_over_without_one(given: dict[str, Any], run: OpenRun) -> None:
    plan = replace(PLAN, **given)
    words = f"{next(iter(given))}: belongs to an erasure request"
    with pytest.raises(ConfigError, match=words):
        order_erasure(run, ["hospital-1"], plan)
    with pytest.raises(ConfigError, match=words):
        order_for_nobody(run, plan)
