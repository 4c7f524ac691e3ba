# SPDX-License-Identifier: MIT
"""Features of EfficientNet-Lite0, frozen as ImageNet left it: what several of its stages see, pooled over the image."""

from __future__ import annotations

from dataclasses import dataclass

from fedlethe.closed_form.features import ImageShape, Transform
from fedlethe.errors import DataError
from fedlethe.later import torch
from fedlethe.models.efficientnet_lite0 import BLOCKS, IMAGENET, LEAST_SIDE, SHA256, imagenet

STAGE_ENDS = (2, 4, 7, 10, 14, 15)
"""The last block at each size and width: 1,536 features."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiteFeatures:
    """The mean and the standard deviation of each channel that some blocks put out.

    The first blocks see texture and colour, the last ones shapes; on images unlike ImageNet's the middle
    ones tell most. Gray images go in as three equal channels. Computed in float32, each batch norm folded into its
    convolution and the channels last in memory, which changes the features by a millionth of their size.

    Attributes:
        blocks: Which, counted from 0 to 15.
    """

    blocks: tuple[int, ...] = STAGE_ENDS

    def __post_init__(self) -> None:
        if not self.blocks or tuple(sorted(set(self.blocks))) != self.blocks or not self.blocks[0] >= 0:
            raise ValueError(f"blocks must be some of 0 to {BLOCKS - 1}, upwards, not {list(self.blocks)}")
        if self.blocks[-1] >= BLOCKS:
            raise ValueError(f"blocks must be at most {BLOCKS - 1}, not {self.blocks[-1]}")

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"efficientnet-lite0 1, {SHA256}, blocks {list(self.blocks)}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        if min(shape[1:]) < LEAST_SIDE:
            raise DataError(
                f"efficientnet-lite0: takes images of {LEAST_SIDE} x {LEAST_SIDE} and more, not {shape[1]} x "
                f"{shape[2]}; set data.size"
            )
        from fedlethe.models.lite0_network import Lite0

        with torch.random.fork_rng(devices=[]):
            network = Lite0(shape[0], IMAGENET)
        network.load_state_dict(imagenet())
        frozen = network.folded()
        frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's stubs lack it

        def transform(images: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():
                return frozen.pooled(images.contiguous(memory_format=torch.channels_last), self.blocks)

        return transform
