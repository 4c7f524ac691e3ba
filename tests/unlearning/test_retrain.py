# SPDX-License-Identifier: MIT
"""Retraining, worked out by hand: without c, a and b weigh 1/2 each and go half of the way to 4 and 8.

Round 1 from 0: 1/2*2 + 1/2*4 = 3. Round 2 from 3: 1/2*0.5 + 1/2*2.5 = 1.5; w_2 = 4.5.
"""

from __future__ import annotations

import torch

from fedlethe.unlearning.retrain import Retrain
from tests.fakes import linear_federation, trained_history


def test_it_is_the_training_that_would_have_been() -> None:
    federation = linear_federation()
    history = trained_history(federation, [(round, ("a", "b", "c")) for round in (1, 2)])
    federation.asked.clear()
    unlearned = Retrain().unlearn(frozenset("c"), history, federation.without("c"))
    assert torch.equal(unlearned.model, torch.full((3,), 4.5))
    assert federation.asked == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert unlearned.guarantee is not None
    assert unlearned.guarantee.kind == "exact"


def test_each_round_keeps_its_participants() -> None:
    federation = linear_federation()
    history = trained_history(federation, [(1, ("a", "c")), (2, ("c",)), (3, ("b", "c"))])
    federation.asked.clear()
    unlearned = Retrain().unlearn(frozenset("c"), history, federation.without("c"))
    assert federation.asked == [(1, "a"), (3, "b")]
    assert torch.equal(unlearned.model, torch.full((3,), 2 + 0.5 * (8 - 2.0)))


def test_a_client_that_took_part_in_no_round_changes_nothing() -> None:
    federation = linear_federation()
    history = trained_history(federation, [(1, ("a", "b")), (2, ("a",))])
    assert torch.equal(Retrain().unlearn(frozenset("c"), history, federation.without("c")).model, history.final())
