# SPDX-License-Identifier: MIT
"""A small convolutional network for small images: about 75,000 parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedlethe.later import nn

WIDTHS = (32, 64, 96)
GROUPS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallCnn:
    """Three blocks (3x3 convolution, norm, ReLU, max pooling), the mean over the image, one linear layer.

    Attributes:
        norm: 'group' has no running statistics, so nothing but gradients carries a client's trace; 'batch' has them.
    """

    norm: Literal["batch", "group"] = "group"

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, for images (N, in_channels, H, W) with H, W >= 8, to logits (N, num_classes)."""
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *WIDTHS), WIDTHS, strict=False):
            norm = nn.GroupNorm(GROUPS, after) if self.norm == "group" else nn.BatchNorm2d(after)
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), norm, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], num_classes))
