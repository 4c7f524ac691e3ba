# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.errors import FedletheError
from fedlethe.models import initialise
from fedlethe.models.resnet import ResNet50
from fedlethe.privacy.mask import IsotropicMask
from fedlethe.vector import VARIANCE_FLOOR, Layout, copied, load_vector, to_vector


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2))


def test_parameters_and_float_buffers_lie_by_name_and_integer_buffers_are_left_out() -> None:
    layout = Layout.of(_network())
    names = ["0.weight", "1.bias", "1.running_mean", "1.running_var", "1.weight"]
    assert list(layout.shapes) == names
    assert [layout.spans[name].start for name in names] == [0, 2, 4, 6, 8]
    assert layout.size == 10


def test_a_vector_goes_into_a_network_and_comes_back() -> None:
    network = _network()
    layout = Layout.of(network)
    load_vector(network, layout, torch.arange(10.0))
    assert torch.equal(network.state_dict()["1.running_var"], torch.tensor([6.0, 7.0]))
    assert torch.equal(to_vector(network, layout), torch.arange(10.0))
    with pytest.raises(FedletheError, match="11 floats"):
        load_vector(network, layout, torch.zeros(11))


def test_views_write_through() -> None:
    layout, vector = Layout({"a": (2,), "b": (1, 2)}), torch.zeros(4)
    layout.tensors(vector)["b"].fill_(3.0)
    assert torch.equal(vector, torch.tensor([0.0, 0.0, 3.0, 3.0]))


def test_only_variances_are_floored_and_by_the_reference() -> None:
    layout = Layout.of(_network())
    reference = torch.arange(10.0) - 6  # variances 0 and 1
    floored = layout.floor_variances(torch.full((10,), -1.0), reference)
    assert torch.equal(torch.cat([floored[:6], floored[8:]]), torch.full((8,), -1.0))
    assert 0 < float(floored[6]) <= 1e-8
    assert float(floored[7]) == pytest.approx(VARIANCE_FLOOR)


def test_resnet50_keeps_positive_variances_and_finite_answers_after_subtraction_and_noise() -> None:
    network = initialise(ResNet50(), 1, 2, seed=0).eval()
    layout = Layout.of(network)
    trained = to_vector(network, layout)
    for name in layout.shapes:
        if name.endswith("running_var"):
            layout.tensors(trained)[name].uniform_(0.001, 0.5, generator=torch.Generator().manual_seed(1))
    influence = 0.01 * torch.randn(trained.shape, generator=torch.Generator().manual_seed(2))
    mask = IsotropicMask(sigma=0.03)
    vector = layout.floor_variances(mask.apply(trained - influence, np.random.default_rng(3)), trained)
    variances = torch.cat([vector[span] for name, span in layout.spans.items() if name.endswith("running_var")])
    assert len(variances) == 26_560
    assert bool((trained - influence)[layout.spans["bn1.running_var"]].min() < 0.02)
    assert bool((variances > 0).all())
    load_vector(network, layout, vector)
    assert bool(torch.isfinite(network(torch.ones(1, 1, 32, 32))).all())


@pytest.mark.parametrize(
    ("other", "words"),
    [({"a": (1,)}, "lacks 'b'"), ({"a": (1,), "b": (3,)}, "shape"), ({"a": (1,), "b": (2,), "c": ()}, "'c'")],
)
def test_a_difference_is_named(other: dict[str, tuple[int, ...]], words: str) -> None:
    layout = Layout({"a": (1,), "b": (2,)})
    assert layout.difference(layout.shapes) is None
    assert words in (layout.difference(other) or "")


def test_a_network_without_values_is_refused() -> None:
    with pytest.raises(FedletheError, match=r"^model: 'weight' has no values \(device 'meta'\); build the network on"):
        Layout.of(nn.Linear(6, 2, device="meta"))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_copy_of_torchscript_can_be_trained_as_the_network_itself() -> None:
    network = nn.Sequential(torch.jit.script(nn.Linear(3, 2)), nn.Linear(2, 2))
    network[0].bias.requires_grad_(False)
    for held in (copied(network), copied(copied(network))):
        assert [weight.is_leaf for weight in held.parameters()] == [True] * 4
        assert [weight.requires_grad for weight in held.parameters()] == [True, False, True, True]
        held(torch.ones(1, 3)).sum().backward()
        assert [weight.grad is not None for weight in held.parameters()] == [True, False, True, True]
    assert all(weight.grad is None for weight in network.parameters())
