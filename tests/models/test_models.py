# SPDX-License-Identifier: MIT
from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fedlethe.errors import FedletheError
from fedlethe.models import HEAD, MODELS, initialise
from fedlethe.models.resnet import ResNet18, ResNet50
from fedlethe.models.small_cnn import SmallCnn
from fedlethe.vector import Layout, to_vector


def test_resnet50_has_torchvisions_parameters() -> None:
    network = initialise(ResNet50(), 1, 2, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_505_858
    names = set(network.state_dict())
    assert {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.downsample.0.weight",
        "layer4.2.conv3.weight",
        "fc.bias",
    } <= names
    assert not any(name.endswith("downsample.0.bias") for name in names)
    assert dict(network.named_modules())["conv1"].stride == (2, 2)


def test_resnet18_shortens_where_torchvision_does() -> None:
    names = set(initialise(ResNet18(), 1, 2, seed=0).state_dict())
    assert "layer2.0.downsample.0.weight" in names
    assert "layer1.0.downsample.0.weight" not in names


def test_the_small_cnn_is_small_and_has_no_running_statistics() -> None:
    network = initialise(SmallCnn(), 1, 2, seed=0)
    assert 70_000 < sum(parameter.numel() for parameter in network.parameters()) < 80_000
    assert not list(network.buffers())
    assert list(initialise(SmallCnn(norm="batch"), 1, 2, seed=0).buffers())


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_with_one_logit_a_class(name: str) -> None:
    network = initialise(MODELS[name](), 3, 9, seed=0).eval()
    size = 1 if name == HEAD else 32  # a head takes features (N, d, 1, 1)
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 9)


@pytest.mark.parametrize("name", [name for name in MODELS if "norm" in signature(MODELS[name]).parameters])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_model_with_a_norm_takes_both(name: str, norm: str) -> None:
    network = initialise(MODELS[name](norm=norm), 3, 9, seed=0).eval()  # type: ignore[call-arg]
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 9)
    assert any("running_var" in key for key in network.state_dict()) == (norm == "batch")


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = initialise(SmallCnn(), 1, 2, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    layout = Layout.of(first)
    torch.manual_seed(6)
    assert torch.equal(to_vector(first, layout), to_vector(initialise(SmallCnn(), 1, 2, seed=0), layout))
    assert not torch.equal(to_vector(first, layout), to_vector(initialise(SmallCnn(), 1, 2, seed=1), layout))


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    network = initialise(ResNet18(), 3, 1000, seed=7)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    safetensors.torch.save_file(state, path)
    return path


def test_imagenet_weights_load_by_name_with_the_first_layer_summed_over_rgb(imagenet: Path) -> None:
    weights = safetensors.torch.load_file(imagenet)
    network = initialise(ResNet18(weights=imagenet), 1, 2, seed=0).eval()
    state = network.state_dict()
    torch.testing.assert_close(state["conv1.weight"], weights["conv1.weight"].sum(dim=1, keepdim=True))
    assert torch.equal(state["layer3.1.bn2.weight"], weights["layer3.1.bn2.weight"])
    colour = initialise(ResNet18(weights=imagenet), 3, 2, seed=0).eval()
    colour.load_state_dict({**colour.state_dict(), "fc.weight": state["fc.weight"], "fc.bias": state["fc.bias"]})
    gray = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(gray), colour(gray.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)


def test_weights_that_do_not_fit_are_named(imagenet: Path, tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"resnet18\.safetensors: 'layer1\.0\.conv1\.weight'"):
        initialise(ResNet50(weights=imagenet), 1, 2, seed=0)
    torch.save({}, tmp_path / "weights.pth")
    with pytest.raises(FedletheError, match=r"weights\.pth: is a pickle, not a safetensors file"):
        initialise(ResNet50(weights=tmp_path / "weights.pth"), 1, 2, seed=0)
    with pytest.raises(FedletheError, match="no such weights file"):
        initialise(ResNet50(weights=tmp_path / "none"), 1, 2, seed=0)
