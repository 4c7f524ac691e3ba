# SPDX-License-Identifier: MIT
"""Subtract and distil, by hand: w_2 = 0.75, c's influence 0.5 x -2 + 0.5 x -2.25 = -2.125."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fedlethe.federation.objective import Distillation
from fedlethe.unlearning.kd import Kd
from fedlethe.vector import Layout
from tests.fakes import LinearFederation, linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_the_influence_is_subtracted_and_the_trained_model_taught() -> None:
    federation = replace(linear_federation(), public=torch.full((3,), 1.0))
    history = trained_history(federation, ALL)
    federation.asked.clear()
    model = Kd(temperature=2.0, epochs=3).unlearn(frozenset("c"), history, federation.without("c")).model
    # 0.75 + 2.125 = 2.875, then half of the way to 1.
    torch.testing.assert_close(model, torch.full((3,), (2.875 + 1) / 2))
    assert federation.asked == []  # no client
    taught, settings = federation.objectives[-1], federation.settings_asked[-1]
    assert isinstance(taught, Distillation)
    assert torch.equal(taught.teacher, history.final())
    assert taught.temperature == 2.0
    assert settings is not None
    assert settings.epochs == 3


def test_a_variance_stays_above_zero_before_it_is_distilled() -> None:
    layout = Layout({"norm.running_var": (1,), "weight": (1,)})
    targets = {"a": torch.tensor([0.02, 1.0]), "c": torch.tensor([100.0, 1.0])}
    federation = LinearFederation(targets, {"a": 1, "c": 1}, layout, public=torch.zeros(2))
    history = trained_history(federation, [(round, ("a", "c")) for round in (1, 2, 3)], initial=torch.ones(2))
    model = Kd().unlearn(frozenset("c"), history, federation.without("c")).model
    assert float(model[0]) == pytest.approx(float(history.final()[0]) / 10 / 2)  # the floor, then half of the way to 0


@pytest.mark.parametrize("option", ["temperature", "epochs"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Kd(**{option: 0})
