# SPDX-License-Identifier: MIT
"""Frozen feature maps, and features in the place of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from fedlethe.closed_form.features import (
    BackboneFeatures,
    Centred,
    Projected,
    ScatteringFeatures,
    TorchScriptFeatures,
)
from fedlethe.closed_form.scattering import Scattering
from fedlethe.data.federated import normalise
from fedlethe.data.phantom import Phantom
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.models.resnet import ResNet18
from fedlethe.vector import Layout, load_vector
from tests.closed_form.test_featurised import SMALL


@pytest.mark.parametrize(("size", "scales", "padded"), [(28, None, 32), (16, None, 16), (64, None, 64), (30, 2, 32)])
def test_scattering_takes_any_size_and_leaves_small_maps(size: int, scales: int | None, padded: int) -> None:
    transform = ScatteringFeatures(scales=scales).prepare((1, size, size))
    chosen = scales or {32: 3, 16: 2, 64: 4}[padded]
    scattering = Scattering(size=padded, scales=chosen)
    assert transform(torch.zeros(2, 1, size, size)).shape == (2, scattering.maps * scattering.side**2)


def test_each_channel_is_scattered_for_itself() -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    colour = SMALL.prepare((3, 16, 16))(images)
    gray = SMALL.prepare((1, 16, 16))
    torch.testing.assert_close(colour, torch.cat([gray(images[:, [channel]]) for channel in range(3)], dim=1))


def test_images_too_small_for_the_scales_are_refused() -> None:
    with pytest.raises(FedletheError, match="8 x 8 are too small for 5 scales"):
        ScatteringFeatures(scales=5).prepare((1, 8, 8))


def test_a_projection_keeps_lengths_and_is_the_same_everywhere() -> None:
    images = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = SMALL.prepare((1, 16, 16))(images)
    torch.manual_seed(1)
    one = Projected(inner=SMALL, dimension=300).prepare((1, 16, 16))(images)
    torch.manual_seed(2)
    assert torch.equal(one, Projected(inner=SMALL, dimension=300).prepare((1, 16, 16))(images))
    ratio = torch.cdist(one, one)[0, 1:] / torch.cdist(whole, whole)[0, 1:] / (300 / whole.shape[1]) ** 0.5
    assert float((ratio - 1).abs().max()) < 0.15
    with pytest.raises(FedletheError, match="features only"):
        Projected(inner=SMALL, dimension=10_000).prepare((1, 16, 16))


def test_centred_features_lie_around_the_public_images(cache: Path) -> None:
    centred = Centred(inner=Projected(inner=SMALL, dimension=50))
    public = Phantom(hospitals=5, images_per_hospital=10, size=16).load().images
    rows = centred.prepare((1, 16, 16))(normalise(torch.from_numpy(public.copy())))
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(50), atol=1e-5, rtol=0)
    lengths = torch.linalg.vector_norm(rows, dim=1)
    assert float(lengths.median()) == pytest.approx(1 / 1.5, rel=1e-5)
    assert centred.prepare((3, 16, 12))(torch.zeros(2, 3, 16, 12)).shape == (2, 50)


def test_a_backbone_gives_what_its_last_layer_sees(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResNet18().build(3, 7).eval()
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    images = torch.rand(2, 3, 32, 32)
    features = BackboneFeatures(weights=path).prepare((3, 32, 32))(images)
    assert features.shape == (2, 512)
    last = network.get_submodule("fc")
    with torch.inference_mode():
        torch.testing.assert_close(last(features), network(images))
    with pytest.raises(FedletheError, match=r"set data\.size"):
        BackboneFeatures(weights=path).prepare((3, 28, 28))
    with pytest.raises(FedletheError, match=r"none\.safetensors: there is no such weights file"):
        BackboneFeatures(weights=tmp_path / "none.safetensors").prepare((3, 32, 32))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_taken_as_it_is(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(2))
    torch.jit.script(network).save(str(tmp_path / "network.pt"))  # type: ignore[no-untyped-call]
    images = torch.rand(3, 1, 16, 16)
    features = TorchScriptFeatures(weights=tmp_path / "network.pt").prepare((1, 16, 16))(images)
    torch.testing.assert_close(features, network(images).detach().flatten(1))
    with pytest.raises(FedletheError, match=r"network\.pt: cannot be used as TorchScript on images of 3 x 16 x 16"):
        TorchScriptFeatures(weights=tmp_path / "network.pt").prepare((3, 16, 16))
    (tmp_path / "broken.pt").write_bytes((tmp_path / "network.pt").read_bytes()[:100])
    with pytest.raises(FedletheError, match=r"broken\.pt: cannot be used"):
        TorchScriptFeatures(weights=tmp_path / "broken.pt").prepare((1, 16, 16))


@pytest.mark.parametrize("options", [{"angles": 3}, {"scales": 0}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ScatteringFeatures(**options)


def test_the_head_is_a_model_like_any_other() -> None:
    from fedlethe.models.linear import LinearHead

    network = LinearHead().build(5, 2)
    assert Layout.of(network).shapes == {"bias": (2,), "weight": (2, 5)}
    load_vector(network, Layout.of(network), torch.tensor([1.0, -1.0, *range(10)]))
    torch.testing.assert_close(network(torch.ones(1, 5, 1, 1)), torch.tensor([[11.0, 34.0]]))


class Chance(torch.nn.Module):
    """Draws by chance."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) + torch.rand_like(images.flatten(1))


class Infinite(torch.nn.Module):
    """Gives no numbers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) / 0.0


class Batch(torch.nn.Module):
    """Looks at the batch."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) - images.flatten(1).mean(dim=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Chance, "makes other features of the same images the next time"),
        (Infinite, "gives features that are not finite floats"),
        (Batch, "a row depends on the other images of its batch"),
    ],
)
def test_torchscript_is_looked_at_as_any_map_of_others(
    network: type[torch.nn.Module], said: str, tmp_path: Path
) -> None:
    torch.jit.script(network()).save(str(tmp_path / "network.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(ConfigError, match=rf"features 'torchscript', .*network\.pt: {said}"):
        TorchScriptFeatures(weights=tmp_path / "network.pt").prepare((1, 4, 4))
