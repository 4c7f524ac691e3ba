# SPDX-License-Identifier: MIT
"""FedOSD by hand, in three dimensions of which the last never moves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.federation.objective import CrossEntropy, UnlearningCrossEntropy
from fedlethe.unlearning.fed_osd import FedOsd, orthogonal, without_return
from fedlethe.vector import Layout
from tests.fakes import LinearFederation, trained_history


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def test_the_orthogonal_part_has_the_length_of_the_whole() -> None:
    for deltas in ([[2.0, 0.0, 0.0]], [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]):  # dependent, and zero
        torch.testing.assert_close(orthogonal(vector(3, 4, 0), torch.tensor(deltas)), vector(0, 5, 0))
    assert torch.equal(orthogonal(vector(3, 4, 0), torch.eye(3)), torch.zeros(3))  # nothing is left
    assert torch.equal(orthogonal(torch.zeros(3), torch.eye(3)), torch.zeros(3))


@given(seed=st.integers(0, 10_000), retained=st.integers(1, 5))
def test_no_retained_client_objects(seed: int, retained: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    direction, deltas = torch.randn(30, generator=generator), torch.randn(retained, 30, generator=generator)
    part = orthogonal(direction, deltas)
    torch.testing.assert_close(deltas @ part, torch.zeros(retained), atol=1e-4, rtol=0)
    torch.testing.assert_close(part.norm(), direction.norm())
    # An independent oracle: the residual of least squares.
    solution = torch.linalg.lstsq(deltas.T.double(), direction.double()[:, None]).solution
    residual = direction.double() - (deltas.T.double() @ solution)[:, 0]
    torch.testing.assert_close(part.double(), residual * (direction.norm() / residual.norm()), atol=1e-4, rtol=1e-4)


def test_only_the_way_back_is_taken_out() -> None:
    torch.testing.assert_close(without_return(vector(-3, 4), vector(2, 0)), vector(0, 5))
    torch.testing.assert_close(without_return(vector(3, 4), vector(2, 0)), vector(3, 4))
    torch.testing.assert_close(without_return(vector(-3, 4), vector(0, 0)), vector(-3, 4))


def test_one_round_of_each_kind() -> None:
    # w_1 = (1, 1, 0). a would step (1.5, -0.5), c (-0.5, 1.5): c's part orthogonal to a's is (0.4, 1.2), which brought
    # to c's length sqrt 2.5 is (0.5, 1.5). From (1.5, 2.5) a steps (1.25, -1.25), back by 0.5 of (0.5, 1.5); without
    # that (1.5, -0.5), brought to the length of (1.25, -1.25).
    federation = LinearFederation({"a": vector(4, 0, 0), "c": vector(0, 4, 0)}, {"a": 1, "c": 1})
    history = trained_history(federation, [(1, ("a", "c"))])
    federation.asked.clear()
    federation.objectives.clear()
    away = FedOsd(rounds=1, recovery_rounds=0).unlearn(frozenset("c"), history, federation).model
    torch.testing.assert_close(away, vector(1.5, 2.5, 0))
    assert federation.asked == [(2, "c"), (2, "a")]
    assert [type(objective) for objective in federation.objectives] == [UnlearningCrossEntropy, CrossEntropy]
    model = FedOsd(rounds=1, recovery_rounds=1).unlearn(frozenset("c"), history, federation).model
    scale = math.sqrt(3.125 / 2.5)
    torch.testing.assert_close(model, vector(1.5 + 1.5 * scale, 2.5 - 0.5 * scale, 0))


def test_running_statistics_follow_the_retained_clients_only() -> None:
    layout = Layout({"norm.running_var": (1,), "weight": (2,)})
    federation = LinearFederation({"a": vector(4, 4, 0), "c": vector(1000, 0, 4)}, {"a": 1, "c": 1}, layout)
    history = trained_history(federation, [(1, ("a", "c"))])
    model = FedOsd(rounds=1, recovery_rounds=0).unlearn(frozenset("c"), history, federation).model
    assert float(model[0]) == float(history.final()[0])
    model = FedOsd(rounds=1, recovery_rounds=1).unlearn(frozenset("c"), history, federation).model
    assert float(model[0]) == pytest.approx((float(history.final()[0]) + 4) / 2)


@pytest.mark.parametrize("options", [{"rounds": -1}, {"recovery_rounds": -1}, {"epochs": 0.0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        FedOsd(**options)  # type: ignore[arg-type]
