# SPDX-License-Identifier: MIT
"""What is claimed of a subtraction, and how exactly it is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from fedlethe.closed_form.settings import Subtraction
from fedlethe.closed_form.sums import LIMIT, RESIDUAL
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import RequestError
from fedlethe.federation.metered import Meter
from fedlethe.learners.statistics_training import retrain_closed_form
from fedlethe.learners.subtracting import FINEST, _at_most, subtract
from fedlethe.runs.opening import opened_run
from tests.runs.small import HOSPITALS


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, FINEST), (3e-17, FINEST), (1e-9, 1e-9), (1.0001e-9, 1e-8), (7e-3, 1e-2), (2.0, 10.0)]
)
def test_a_residual_is_told_in_whole_powers_of_ten_and_never_too_small(value: float, told: float) -> None:
    assert _at_most(value) == pytest.approx(told)


def test_the_model_is_that_of_a_training_without_the_client(closed: Path) -> None:
    with opened_run(closed) as run:
        found = subtract(run, HOSPITALS[:1], Subtraction(), run.history, Meter())
        assert found.guarantee is not None
        assert found.guarantee.kind == "exact"
        assert "subtracted" in found.guarantee.statement
        assert found.found[RESIDUAL] <= LIMIT
        assert found.found["rows"] == sum(len(run.data.clients[client].train) for client in HOSPITALS[1:])
        retrained = retrain_closed_form(run, HOSPITALS[1:])
        assert torch.allclose(found.model, retrained, rtol=1e-5, atol=1e-7)


def test_nobody_joins_who_was_not_taken_out(closed: Path) -> None:
    with opened_run(closed) as run:
        for name, message in ((HOSPITALS[0], "is in the model already"), ("new", "cannot join again")):
            with pytest.raises(RequestError, match=message):
                subtract(run, (), Subtraction(join=(name,)), run.history, Meter())


def test_of_a_client_that_comes_back_nothing_is_said_to_be_left(closed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed, tmp_path / "run"))
    with opened_run(run) as opened:
        first = erase(opened, order_erasure(opened, HOSPITALS[:1], ErasurePlan()))
        past = opened.past(first.id)
        back = Subtraction(join=HOSPITALS[:1])
        for forget, how in (((), "added"), (HOSPITALS[1:2], "subtracted and added")):
            found = subtract(opened, forget, back, past, Meter()).guarantee
            assert found is not None
            assert found.statement.startswith(f"{how}; the head equals one fitted from scratch on all that are in")
            assert "left" not in found.statement
