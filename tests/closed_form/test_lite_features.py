# SPDX-License-Identifier: MIT
"""Features of EfficientNet-Lite0's stages."""

from __future__ import annotations

import pytest
import torch

from fedlethe.closed_form.lite_features import LiteFeatures
from fedlethe.errors import DataError
from fedlethe.models.efficientnet_lite0 import IMAGENET, imagenet
from fedlethe.models.lite0_network import Lite0


def _images(channels: int, side: int = 64) -> torch.Tensor:
    return torch.rand(5, channels, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_features_are_the_networks_own_to_a_millionth() -> None:
    network = Lite0(3, IMAGENET).eval()
    network.load_state_dict(imagenet())

    features = LiteFeatures().prepare((3, 64, 64))(_images(3))

    with torch.inference_mode():
        eager = network.pooled(_images(3), LiteFeatures().blocks)
    assert features.shape == (5, 1536)
    assert features.dtype == torch.float32
    assert float((features - eager).norm() / eager.norm()) < 1e-5


def test_an_images_features_do_not_depend_on_the_others_beside_it() -> None:
    transform = LiteFeatures(blocks=(2, 15)).prepare((1, 48, 32))
    images = _images(1)[:, :, :48, :32]

    together = transform(images)

    torch.testing.assert_close(torch.cat([transform(images[[i]]) for i in range(5)]), together, rtol=1e-5, atol=1e-6)


def test_the_key_names_the_weights_and_the_blocks() -> None:
    assert LiteFeatures().key() != LiteFeatures(blocks=(2, 4)).key()
    assert "579344248a93" in LiteFeatures().key()


@pytest.mark.parametrize("blocks", [(), (4, 2), (2, 2), (-1,), (16,)])
def test_blocks_that_are_none_are_refused(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="blocks must be"):
        LiteFeatures(blocks=blocks)


def test_small_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"takes images of 32 x 32 and more, not 28 x 28; set data\.size"):
        LiteFeatures().prepare((1, 28, 28))
