# SPDX-License-Identifier: MIT
"""A small network on features of a frozen map: what is federated where a backbone stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

from fedlethe.later import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Each row brought to mean 0 and variance 1 (Ba et al., 2016), a hidden layer, and a linear one.

    Of other rows it takes nothing: no running statistics carry a client's trace.

    Attributes:
        hidden: Units of the hidden layer, with ReLU; 0 for a linear layer alone.
        dropout: The share of the hidden units that each step leaves out.
    """

    hidden: int = 256
    dropout: float = 0.25

    def __post_init__(self) -> None:
        if self.hidden < 0:
            raise ValueError(f"hidden must be 0 or more units, not {self.hidden}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, from features (N, in_channels, 1, 1) to logits (N, num_classes)."""
        rows = [nn.Flatten(), nn.LayerNorm(in_channels, elementwise_affine=False)]
        if not self.hidden:
            return nn.Sequential(*rows, nn.Linear(in_channels, num_classes))
        first = [nn.Linear(in_channels, self.hidden), nn.ReLU(inplace=True), nn.Dropout(self.dropout)]
        return nn.Sequential(*rows, *first, nn.Linear(self.hidden, num_classes))
