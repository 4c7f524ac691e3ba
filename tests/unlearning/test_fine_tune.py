# SPDX-License-Identifier: MIT
"""Fine-tuning, by hand: from w_R = 0.5 (one round), without c; a and b weigh 1/2: 1/2*1.75 + 1/2*3.75 = 2.75."""

from __future__ import annotations

import pytest
import torch

from fedlethe.unlearning.fine_tune import FineTune
from tests.fakes import linear_federation, trained_history


def test_it_goes_on_from_the_trained_model_with_the_retained() -> None:
    federation = linear_federation()
    history = trained_history(federation, [(1, ("a", "b", "c"))])
    federation.asked.clear()
    unlearned = FineTune(rounds=1).unlearn(frozenset("c"), history, federation.without("c"))
    assert torch.equal(unlearned.model, torch.full((3,), 0.5 + 2.75))
    assert federation.asked == [(2, "a"), (2, "b")]
    assert unlearned.guarantee is None


def test_rounds_must_be_at_least_one() -> None:
    with pytest.raises(ValueError, match="rounds"):
        FineTune(rounds=0)
