# SPDX-License-Identifier: MIT
from __future__ import annotations

import torch

from fedlethe.federation.aggregate import aggregate
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN


def test_it_is_federated_averaging_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(50, generator=generator)
    models = {client: torch.randn(50, generator=generator) for client in "abc"}
    weights = {"a": 0.2, "b": 0.3, "c": 0.5}
    made = WEIGHTED_MEAN.aggregate(before, models, weights)
    assert torch.equal(made, aggregate(before, models, weights))
    torch.testing.assert_close(made, 0.2 * models["a"] + 0.3 * models["b"] + 0.5 * models["c"])
    assert WEIGHTED_MEAN.is_mean
