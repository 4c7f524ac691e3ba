# SPDX-License-Identifier: MIT
"""The networks: each a frozen dataclass whose fields are its options, entered as one row of MODELS."""

from __future__ import annotations

from typing import Protocol

from fedlethe.later import nn, torch
from fedlethe.models.resnet import ResNet18, ResNet50
from fedlethe.models.small_cnn import SmallCnn
from fedlethe.seeding import derive


class Model(Protocol):
    """A network's options."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, from images (N, in_channels, H, W) in [-1, 1] to logits (N, num_classes)."""
        ...


MODELS: dict[str, type[Model]] = {"resnet18": ResNet18, "resnet50": ResNet50, "small-cnn": SmallCnn}


def initialise(model: Model, in_channels: int, num_classes: int, seed: int) -> nn.Module:
    """Build a network whose initial weights depend on the seed alone; global random state is left as it was.

    Raises:
        FedletheError: The model's weights file cannot be used.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initial model"))
        return model.build(in_channels, num_classes)
