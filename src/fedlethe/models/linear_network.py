# SPDX-License-Identifier: MIT
"""The network of `LinearHead`, apart from it since a class of PyTorch's cannot be written without importing PyTorch."""

from __future__ import annotations

import torch
from torch import nn


class Linear(nn.Module):
    """One linear layer, computed in float64: the closed-form head as a network.

    Args:
        size: Features of a row.
        classes: How many.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, size))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (n, size, 1, 1) to logits (n, classes), float32."""
        rows = features.flatten(1).double()
        return (rows @ self.weight.double().T + self.bias.double()).float()
