# SPDX-License-Identifier: MIT
"""The network of `models.efficientnet_lite0`."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

from torch.nn.utils.fusion import fuse_conv_bn_eval

from fedlethe.errors import ConfigError, DataError
from fedlethe.later import functional, nn, torch
from fedlethe.models.efficientnet_lite0 import LEAST_SIDE

STAGES = (  # blocks, expansion, kernel, stride, channels
    (1, 1, 3, 1, 16),
    (2, 6, 3, 2, 24),
    (2, 6, 5, 2, 40),
    (3, 6, 3, 2, 80),
    (3, 6, 5, 1, 112),
    (4, 6, 5, 2, 192),
    (1, 6, 3, 1, 320),
)
STEM, HEAD = 32, 1280


class _Convolution(nn.Module):
    """A convolution padded as TensorFlow's 'same', batch norm, and ReLU6 where it is asked for."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, groups: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outside, momentum=0.01, eps=1e-3)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        # 'Same' pads so that ceil(side / stride) come out: at a stride of 2 often one more on the right than left.
        down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        if down or across:
            x = functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        x = self.norm(self.conv(x))
        return functional.relu6(x) if self.relu else x


class _Block(nn.Module):
    """An inverted residual (Sandler et al., CVPR 2018)."""

    def __init__(self, inside: int, outside: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = _Convolution(inside, wide, 1, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _Convolution(wide, outside, 1, 1, relu=False)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Lite0(nn.Module):
    """The network: a stem, 16 blocks, a head, and a linear layer.

    Args:
        in_channels: 3; or 1, of which it makes three equal ones.
        num_classes: Logits.
        dropout: See `EfficientNetLite0`.

    Raises:
        ConfigError: There are other channels.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ConfigError(f"efficientnet-lite0: takes images of 1 or 3 channels, not {in_channels}")
        self.stem = _Convolution(3, STEM, 3, 2)
        blocks: list[_Block] = []
        inside = STEM
        for repeats, expansion, kernel, stride, outside in STAGES:
            for again in range(repeats):
                blocks.append(_Block(inside, outside, expansion, kernel, 1 if again else stride))
                inside = outside
        self.blocks = nn.ModuleList(blocks)
        self.head = _Convolution(inside, HEAD, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(HEAD, num_classes)

    def begin(self, images: torch.Tensor) -> torch.Tensor:
        """From images in [-1, 1] to what the first block takes.

        Raises:
            DataError: They are too small.
        """
        if min(images.shape[2:]) < LEAST_SIDE:
            down, across = images.shape[2:]
            raise DataError(
                f"efficientnet-lite0: takes images of {LEAST_SIDE} x {LEAST_SIDE} and more, not {down} x {across}; set "
                "data.size"
            )
        # Published for (x - 127) / 128 of bytes x; gray images as three equal channels.
        scaled = (images * 127.5 + 0.5) / 128
        stem: torch.Tensor = self.stem(scaled.expand(-1, 3, -1, -1))
        return stem

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From images (N, C, H, W) in [-1, 1] to logits (N, num_classes)."""
        x = self.begin(images)
        for block in self.blocks:
            x = block(x)
        pooled = self.head(x).mean(dim=(2, 3))
        logits: torch.Tensor = self.fc(self.dropout(pooled))
        return logits

    def pooled(self, images: torch.Tensor, blocks: Collection[int]) -> torch.Tensor:
        """Mean and standard deviation over each map that some blocks put out, (N, 2 x channels), block after block."""
        x, found = self.begin(images), []
        for place, block in enumerate(self.blocks):
            if place > max(blocks):
                break
            x = block(x)
            if place in blocks:
                deviation, mean = torch.std_mean(x, dim=(2, 3), correction=0)
                found += [mean, deviation]
        return torch.cat(found, dim=1)

    def folded(self) -> Lite0:
        """The same answers without batch norms, each of which goes into its convolution; for `eval` alone."""
        folded = deepcopy(self).eval()
        for module in folded.modules():
            if isinstance(module, _Convolution):
                assert isinstance(module.norm, nn.BatchNorm2d)  # of a network that is not folded yet
                module.conv, module.norm = fuse_conv_bn_eval(module.conv, module.norm), nn.Identity()
        return folded
