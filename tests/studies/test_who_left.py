# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from fedlethe.studies.who_left import saved_who_left, who_left


def order(run: OpenRun, **fields: object) -> ErasureOrder:
    return order_for(run.config, (), ErasurePlan(method="influence", **fields))  # type: ignore[arg-type]


def test_without_noise_full_knowledge_names_everybody_who_left(studied: OpenRun) -> None:
    found = who_left(studied, order(studied, repair={"rounds": 0}), draws=1)
    (point,) = found.points
    assert (point.stage, point.mask, point.setting) == ("unlearned", "no mask", "no repair")
    assert (point.chance, point.models, point.bound) == (1 / 3, 3, None)
    named = {one.attacker: one for one in point.named}
    assert (named["full knowledge"].hits, named["full knowledge"].trials) == (3, 3)
    assert named["server view"].hits == 3
    assert saved_who_left(studied.history) == found


def test_a_mask_has_a_bound_which_a_repair_by_all_takes_away(studied: OpenRun) -> None:
    found = who_left(studied, order(studied, mask={"sigma": 0.5}, repair={"rounds": 1}), draws=1)
    masked, repaired = found.points
    assert (masked.stage, repaired.stage) == ("masked", "repaired 1")
    assert masked.bound is not None
    assert 1 / 3 < masked.bound < 1
    assert repaired.bound is None
    assert masked.setting == "all repair"


def test_decoys_hide_among_those_who_are_erased_along(studied: OpenRun) -> None:
    found = who_left(studied, order(studied, decoys=1, repair={"rounds": 0}), draws=2)
    (point,) = found.points
    assert (point.setting, point.chance, point.models) == ("1 decoys", 1 / 2, 6)


def test_it_takes_a_draw(studied: OpenRun) -> None:
    with pytest.raises(FedletheError, match="draws 0: must be at least 1"):
        who_left(studied, order(studied), draws=0)


def test_a_method_whose_candidates_cannot_be_computed_is_refused(studied: OpenRun) -> None:
    request = order_for(studied.config, (), ErasurePlan(method="retrain"))
    with pytest.raises(FedletheError, match="who is named cannot be measured, except with decoys"):
        who_left(studied, request, 3)
