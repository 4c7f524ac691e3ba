# SPDX-License-Identifier: MIT
"""Two rounds of three linear clients, worked out by hand.

Shares: a 1/4, b 1/4, c 1/2. Every client goes half of the way to its target (4, 8, -4).
Round 1 from 0:   deltas 2, 4, -2;        step 1/4*2 + 1/4*4 - 1/2*2 = 0.5;      w_1 = 0.5
Round 2 from 0.5: deltas 1.75, 3.75, -2.25; step 0.4375 + 0.9375 - 1.125 = 0.25;  w_2 = 0.75
I_a = 0.5 + 0.4375 = 0.9375; I_b = 1 + 0.9375 = 1.9375; I_c = -1 - 1.125 = -2.125; their sum is 0.75 = w_2 - w_0.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from fedlethe.types import Need
from fedlethe.unlearning import unlearn
from fedlethe.unlearning.influence import Influence
from fedlethe.vector import VARIANCE_FLOOR, Layout
from tests.fakes import LinearFederation, linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


@pytest.mark.parametrize(
    ("forget", "expected"),
    [({"a"}, 0.75 - 0.9375), ({"b"}, 0.75 - 1.9375), ({"c"}, 0.75 + 2.125), ({"a", "b"}, 0.75 - 0.9375 - 1.9375)],
)
def test_full_removal_subtracts_the_weighted_sum(forget: set[str], expected: float) -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    assert torch.equal(history.final(), torch.full((3,), 0.75))
    unlearned = Influence().unlearn(frozenset(forget), history, federation.without(forget))
    assert torch.equal(unlearned.model, torch.full((3,), expected))
    assert unlearned.guarantee is None


def test_scale_takes_a_part_of_it() -> None:
    history = trained_history(linear_federation(), ALL)
    unlearned = Influence(scale=0.5).unlearn(frozenset("a"), history, linear_federation().without("a"))
    assert torch.equal(unlearned.model, torch.full((3,), 0.75 - 0.46875))


def test_clip_bounds_the_norm_before_the_scale() -> None:
    history = trained_history(linear_federation(), ALL)
    unlearned = Influence(scale=0.5, clip=math.sqrt(3)).unlearn(frozenset("b"), history, linear_federation())
    torch.testing.assert_close(
        unlearned.model, torch.full((3,), 0.75 - 0.5)
    )  # 1.9375 in 3 weights, clipped to 1 in each


def test_nobody_trains_and_the_history_stays_as_it_is() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    asked, before = len(federation.asked), [history.final().clone(), history.influence("a").clone()]
    Influence(clip=0.1).unlearn(frozenset("a"), history, federation.without("a"))
    assert len(federation.asked) == asked
    assert torch.equal(history.final(), before[0])
    assert torch.equal(history.influence("a"), before[1])


def test_a_client_that_took_part_in_no_round_changes_nothing() -> None:
    federation = linear_federation()
    history = trained_history(federation, [(1, ("a", "b"))])
    assert torch.equal(Influence().unlearn(frozenset("c"), history, federation).model, history.final())


def test_running_variances_keep_their_floor() -> None:
    layout = Layout({"norm.running_mean": (1,), "norm.running_var": (1,), "norm.weight": (1,)})
    targets = {"a": torch.tensor([1.0, 9.0, 1.0]), "b": torch.tensor([1.0, 1.0, 1.0])}
    federation = LinearFederation(targets, {"a": 1, "b": 1}, layout)
    history = trained_history(federation, [(1, ("a", "b"))], initial=torch.tensor([0.0, 1.0, 0.0]))
    model = unlearn(Influence(scale=3.0), "a", history, federation).model
    # w_1 = (.5, 3, .5), I_a = (.25, 2, .25): 3 - 3 x 2 = -3 is no variance; the others are left as they come out
    torch.testing.assert_close(model, torch.tensor([-0.25, VARIANCE_FLOOR * 3, -0.25]))


@pytest.mark.parametrize("options", [{"scale": -1.0}, {"scale": math.nan}, {"clip": 0.0}, {"clip": math.nan}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Influence(**options)


def test_it_needs_the_influence_alone() -> None:
    history = trained_history(linear_federation(), ALL, keep=Influence.needs)
    assert Influence.needs == {Need.INITIAL, Need.INFLUENCE}
    Influence().unlearn(frozenset("a"), history, linear_federation().without("a"))
