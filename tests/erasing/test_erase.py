# SPDX-License-Identifier: MIT
"""An erasure carried through, from Python."""

from __future__ import annotations

import pytest
import torch

from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError, RequestError
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import erased, model_of


def test_the_stages_are_evaluated_one_after_the_other_and_the_run_stays(run: OpenRun) -> None:
    before = run.history.final().clone()
    erasure = erased(run, repair={"rounds": 2})
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "repaired 1", "repaired 2"]
    assert erasure.cost == erasure.stages[-1].cost
    assert torch.equal(run.history.final(), before)
    assert erasure.stages[-1].evaluation == run.evaluate(model_of(erasure, run), without=erasure.forget)
    assert all(stage.evaluation.retained is not None for stage in erasure.stages)


def test_the_same_erasure_is_not_made_twice(run: OpenRun) -> None:
    erasure = erased(run)
    with pytest.raises(RequestError, match=f"erased already in this way; its model is .*{erasure.id}"):
        erased(run)
    assert erased(run, repair={"rounds": 2}).id == "0002"  # another way


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        (("nobody",), "'nobody' is not in this federation"),
        (("hospital-1", "hospital-1"), "is named twice"),
        (tuple(f"hospital-{number}" for number in range(4)), "no client would be left"),
    ],
)
def test_who_cannot_be_erased_is_refused_and_nothing_is_entered(
    run: OpenRun, clients: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FedletheError, match=message):
        erase(run, order_erasure(run, clients, ErasurePlan(method="influence")))
    assert run.history.ledger.erasures() == {}


def test_who_is_gone_cannot_go_again(run: OpenRun) -> None:
    first = erased(run)
    with pytest.raises(RequestError, match=f"not in the model that erasure {first.id} led to"):
        erased(run, after=first.id)
