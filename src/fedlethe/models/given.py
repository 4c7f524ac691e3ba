# SPDX-License-Identifier: MIT
"""A network, and a loss, that were handed over from Python, and have no name that a file could hold."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fedlethe.errors import ConfigError
from fedlethe.later import nn, torch
from fedlethe.plugins import IN_PYTHON

Loss: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
"""From outputs, float32, shape (b, classes), and labels, int64, shape (b,), to the mean loss of the batch, a scalar."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenModel:
    """A network with the weights that it was given with; every training without it begins from these, too.

    Attributes:
        network: It; None where a run is read without it.
        loss: What clients descend; None for cross-entropy.
    """

    network: nn.Module | None = None
    loss: Loss | None = None

    is_given = True

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """A copy of the network.

        Raises:
            FedletheError: It is not at hand.
        """
        if self.network is None:
            raise ConfigError(f"the run's network was {IN_PYTHON}")
        return copy.deepcopy(self.network)
