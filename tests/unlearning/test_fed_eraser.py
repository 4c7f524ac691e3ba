# SPDX-License-Identifier: MIT
"""FedEraser on linear clients, worked out by hand.

Old deltas (test_influence.py), same in all three weights: round 1 a 2, b 4, c -2; round 2 a 1.75, b 3.75, c -2.25.
Without c: round 1 adds the stored ones, 1/2*2 + 1/2*4 = 3. Round 2 from 3: the new deltas are a 0.5, b 2.5; brought to
the old lengths they are a 1.75, b 3.75; w' = 3 + 1/2*1.75 + 1/2*3.75 = 5.75.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fedlethe.federation.client import LocalTraining
from fedlethe.types import Need
from fedlethe.unlearning.fed_eraser import FedEraser
from fedlethe.vector import Layout
from tests.fakes import LinearFederation, linear_federation, trained_history

TWO = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_stored_lengths_along_new_directions() -> None:
    federation = linear_federation()
    history = trained_history(federation, TWO, keep=FedEraser.needs)
    federation.asked.clear()
    model = FedEraser(interval=1).unlearn(frozenset("c"), history, federation.without("c")).model
    torch.testing.assert_close(model, torch.full((3,), 5.75))
    assert federation.asked == [(2, "a"), (2, "b")]  # the first round trains nobody, and c is asked for nothing


def test_the_old_length_is_that_of_the_clients_own_step_not_of_the_mean_or_from_the_next_round() -> None:
    """The authors' code takes norms of the mean over clients, from the aggregate after the round: far too short."""
    targets = {"a": torch.tensor([4.0, 0.0, 0.0]), "b": torch.tensor([0.0, 4.0, 0.0]), "c": torch.zeros(3)}
    federation = LinearFederation(targets, {"a": 1, "b": 1, "c": 2})
    history = trained_history(federation, TWO)
    # from 0: a (2, 0), b (0, 2), c 0; w_1 = (.5, .5). From there a (1.75, -.25), b (-.25, 1.75).
    length = (1.75**2 + 0.25**2) ** 0.5
    model = FedEraser(interval=1).unlearn(frozenset("c"), history, federation.without("c")).model
    # without c w'_1 = (1, 1); the new deltas there are a (1.5, -.5), b (-.5, 1.5), of length sqrt(2.5)
    step = length * 0.5 * (1.5 - 0.5) / 2.5**0.5
    torch.testing.assert_close(model, torch.tensor([1 + step, 1 + step, 0.0]))


def test_per_layer_takes_each_tensors_own_length() -> None:
    layout = Layout({"bias": (1,), "weight": (2,)})
    targets = {"a": torch.tensor([8.0, 0.0, 2.0]), "c": torch.zeros(3)}
    federation = LinearFederation(targets, {"a": 1, "c": 1}, layout)
    history = trained_history(federation, [(round, ("a", "c")) for round in (1, 2)])
    # a's deltas: (4, 0, 1); w_1 = (2, 0, .5); then (3, 0, .75). Without c: w'_1 = (4, 0, 1), new delta (2, 0, .5).
    model = FedEraser(interval=1, per_layer=True).unlearn(frozenset("c"), history, federation.without("c")).model
    torch.testing.assert_close(model, torch.tensor([4 + 3.0, 0.0, 1 + 0.75]))


def test_a_step_that_was_nothing_or_is_nothing_adds_nothing() -> None:
    targets = {"a": torch.tensor([0.0, 4.0, 4.0]), "b": torch.zeros(3), "c": torch.full((3,), 4.0)}
    federation = LinearFederation(targets, {"a": 1, "b": 1, "c": 1})
    history = trained_history(federation, [(1, ("a", "b")), (2, ("b", "c"))])
    for per_layer in (False, True):
        method = FedEraser(interval=1, per_layer=per_layer)
        model = method.unlearn(frozenset("a"), history, federation.without("a")).model
        assert torch.isfinite(model).all()


def test_running_statistics_move_as_the_clients_do() -> None:
    layout = Layout({"norm.running_var": (1,), "weight": (1,)})
    targets = {"a": torch.tensor([100.0, 4.0]), "c": torch.tensor([1.0, 0.0])}
    federation = LinearFederation(targets, {"a": 1, "c": 1}, layout)
    history = trained_history(federation, [(round, ("a", "c")) for round in (1, 2)], initial=torch.zeros(2))
    # weight: a's deltas 2, 1.5; from w'_1 = 2 the new one is 1, brought to 1.5. Variance: w'_1 = 50, and half way on.
    model = FedEraser(interval=1).unlearn(frozenset("c"), history, federation.without("c")).model
    torch.testing.assert_close(model, torch.tensor([75.0, 3.5]))


def test_only_kept_rounds_are_replayed_with_fewer_epochs() -> None:
    federation = replace(linear_federation(), settings=LocalTraining(epochs=5))
    history = trained_history(federation, [(round, ("a", "b", "c")) for round in range(1, 6)])
    federation.asked.clear()
    federation.settings_asked.clear()
    FedEraser(interval=2, ratio=0.5).unlearn(frozenset("c"), history, federation.without("c"))
    assert sorted({round for round, _ in federation.asked}) == [3, 5]
    assert {settings.epochs for settings in federation.settings_asked if settings} == {3}  # ceil(2.5)


def test_it_keeps_no_delta_but_the_first_rounds() -> None:
    assert Need.DELTAS not in FedEraser.needs


@pytest.mark.parametrize("options", [{"interval": 0}, {"ratio": 0.0}, {"ratio": 1.5}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        FedEraser(**options)  # type: ignore[arg-type]
