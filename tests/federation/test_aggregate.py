# SPDX-License-Identifier: MIT
from __future__ import annotations

import torch

from fedlethe.federation.aggregate import aggregate, contribution, refusal, shares
from fedlethe.types import Update


def test_shares_are_by_examples_in_the_order_of_the_names() -> None:
    assert list(shares({"b": 1, "a": 3}).items()) == [("a", 0.75), ("b", 0.25)]
    assert shares({}) == {}


def test_contributions_add_up_to_the_step() -> None:
    before, models = torch.tensor([1.0, 2.0]), {"a": torch.tensor([5.0, 2.0]), "b": torch.tensor([1.0, 10.0])}
    weights = {"a": 0.25, "b": 0.75}
    assert torch.equal(contribution(models["a"], before, 0.25), torch.tensor([1.0, 0.0]))
    assert torch.equal(aggregate(before, models, weights), torch.tensor([2.0, 8.0]))
    assert torch.equal(aggregate(before, {}, {}), before)
    assert torch.equal(before, torch.tensor([1.0, 2.0]))


def test_what_is_refused_and_why() -> None:
    def update(model: torch.Tensor, num_examples: int = 1) -> Update:
        return Update("a", model, num_examples, 1, 1, 0.0)

    before = torch.zeros(2)
    assert refusal(update(torch.ones(2)), before) is None
    assert "shape" in (refusal(update(torch.ones(3)), before) or "")
    assert "NaN" in (refusal(update(torch.tensor([0.0, torch.nan])), before) or "")
    assert "0 examples" in (refusal(update(torch.ones(2), 0), before) or "")
