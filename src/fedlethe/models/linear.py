# SPDX-License-Identifier: MIT
"""The model of the closed-form federation: one linear layer on frozen features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearHead:
    """A linear layer, all zeros to begin with. It adds up in float64, so that its answers are those of its weights."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The layer, from features (N, in_channels, 1, 1) to logits (N, num_classes)."""
        return _Linear(in_channels, num_classes)


class _Linear(nn.Module):
    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, size))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows = features.flatten(1).double()
        return (rows @ self.weight.double().T + self.bias.double()).float()
