# SPDX-License-Identifier: MIT
"""Weight negation: which layer is the first, and that nothing else moves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fedlethe.errors import FedletheError
from fedlethe.models import HEAD, MODELS, initialise
from fedlethe.unlearning.not_ import Not, first_layer
from fedlethe.vector import Layout
from tests.fakes import LinearFederation, linear_federation, trained_history

LAYOUT = Layout({"head.weight": (2, 3), "head.bias": (2,), "norm.running_var": (3,), "stem.weight": (3, 1, 1, 1)})


def _federation() -> LinearFederation:
    size = LAYOUT.size
    return LinearFederation({"a": torch.ones(size), "c": torch.arange(float(size))}, {"a": 1, "c": 1}, LAYOUT)


def test_the_first_layer_and_no_other_is_negated() -> None:
    history = trained_history(_federation(), [(1, ("a", "c"))])
    model = Not().unlearn(frozenset("c"), history, _federation().without("c")).model
    signs = torch.ones(LAYOUT.size)
    signs[-3:] = -1
    torch.testing.assert_close(model, history.final() * signs)
    assert not torch.equal(model, history.final())


def test_another_layer_can_be_named() -> None:
    history = trained_history(_federation(), [(1, ("a", "c"))])
    model = Not(layer="head.bias").unlearn(frozenset("c"), history, _federation().without("c")).model
    signs = torch.ones(LAYOUT.size)
    signs[6:8] = -1
    torch.testing.assert_close(model, history.final() * signs)
    with pytest.raises(FedletheError, match=r"no tensor 'stem'; it has head.weight, .*stem.weight"):
        Not(layer="stem").unlearn(frozenset("c"), history, _federation().without("c"))


def test_a_model_without_input_channels_is_refused() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "c"))])
    with pytest.raises(FedletheError, match="name one by the option 'layer'"):
        Not().unlearn(frozenset("c"), history, linear_federation().without("c"))


@pytest.mark.parametrize("name", [name for name in MODELS if name != HEAD])  # which sees no image
def test_it_is_the_layer_that_sees_the_image(name: str) -> None:
    network = initialise(MODELS[name](), 1, 2, seed=0)
    first = next(name for name, parameter in network.named_parameters() if parameter.ndim == 4)
    assert first_layer(Layout.of(network)) == first


def test_depthwise_layers_have_one_input_channel_and_are_not_the_first() -> None:
    deep = [nn.Conv2d(8, 8, 3, groups=8) for _ in range(2)]
    assert first_layer(Layout.of(nn.Sequential(*deep, nn.Conv2d(3, 8, 3)))) == "2.weight"
    gray = Layout.of(nn.Sequential(nn.Conv2d(1, 8, 3), *deep))
    with pytest.raises(FedletheError, match=r"3 layers take one channel \(0.weight, 1.weight, 2.weight, ...\)"):
        first_layer(gray)
