# SPDX-License-Identifier: MIT
"""Rollback, by hand. Round 1 without c: w_1 = 3. c joins in round 2 and is erased.

From 3 without c: a 1/2*(4-3) = 0.5, b 1/2*(8-3) = 2.5; 1/2 of each: w_2 = 4.5; again 1/2*(-.25+1.75) = .75: 5.25.
"""

from __future__ import annotations

import torch

from fedlethe.unlearning.retrain import Retrain
from fedlethe.unlearning.rollback import Rollback
from tests.fakes import linear_federation, trained_history

LATE = [(1, ("a", "b")), (2, ("a", "b", "c")), (3, ("a", "b", "c"))]


def test_it_goes_back_to_the_last_round_without_them_and_on_from_there() -> None:
    federation = linear_federation()
    history = trained_history(federation, LATE)
    federation.asked.clear()
    unlearned = Rollback().unlearn(frozenset("c"), history, federation.without("c"))
    assert torch.equal(unlearned.model, torch.full((3,), 5.25))
    assert federation.asked == [(2, "a"), (2, "b"), (3, "a"), (3, "b")]
    assert unlearned.guarantee is not None
    assert "round 1" in unlearned.guarantee.statement


def test_it_is_retraining_with_fewer_rounds() -> None:
    federation = linear_federation()
    history = trained_history(federation, LATE)
    one, other = (
        method.unlearn(frozenset("c"), history, federation.without("c")).model for method in (Rollback(), Retrain())
    )
    assert torch.equal(one, other)
