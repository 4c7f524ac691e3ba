# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch
from torch import nn

from fedlethe.config import resolve
from fedlethe.errors import ConfigError
from fedlethe.models.head import Head


@pytest.mark.parametrize(("hidden", "layers"), [(0, 1), (8, 2)])
def test_it_has_as_many_layers_as_asked_for_and_a_row_is_a_matter_of_its_own(hidden: int, layers: int) -> None:
    network = Head(hidden=hidden, dropout=0.5).build(6, 2)
    assert sum(isinstance(module, nn.Linear) for module in network.modules()) == layers
    assert not dict(network.named_buffers())  # running statistics would carry a client's trace
    rows = torch.rand(5, 6, 1, 1)
    network.eval()
    answers = network(rows)
    assert answers.shape == (5, 2)
    # Each row is brought to mean 0 and variance 1 by itself, so its own units and offset do not matter.
    torch.testing.assert_close(network(7 * rows[:1] + 3), answers[:1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"), [({"hidden": -1}, "hidden must be 0 or more"), ({"dropout": 1.0}, "dropout must be at least")]
)
def test_options_out_of_range_are_named(options: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve({"features": {}, "model": {"name": "head", **options}})
