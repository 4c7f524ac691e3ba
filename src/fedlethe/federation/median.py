# SPDX-License-Identifier: MIT
"""The median of every coordinate: a minority of hospitals, whatever it sends, cannot take the model out of the others.

Yin, Chen, Ramchandran, Bartlett, 'Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates', ICML 2018,
Algorithm 1, option I: w_t = med{w_k,t}, coordinate by coordinate; of an even number of clients the mean of the two in
the middle. Every client counts the same, whatever its number of examples.

Departs: the paper takes the median of gradients; here clients train for some epochs, and the median is of their models,
which is that of their deltas added to the global model.

On unlike hospitals the median has a price: it follows the hospitals in the middle, and what one hospital alone has to
teach is lost. With one or two clients it is their mean, and protects from nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlethe.later import torch
from fedlethe.types import ClientId, Vector

AT_ONCE = 1 << 20
"""Coordinates that are sorted at a time: a large model of many clients would fill the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Median:
    """The median of the clients' models, coordinate by coordinate, each client counting the same.

    Formal guarantees:
        Where fewer than half of the clients send something else, every coordinate lies between the least and the
        greatest of the other clients'.
    """

    paper: ClassVar[str] = "Yin et al., ICML 2018"
    is_mean: ClassVar[bool] = False

    def aggregate(self, before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
        """See `Aggregator.aggregate`; neither the model before nor the weights matter."""
        pieces = zip(*(torch.split(model, AT_ONCE) for model in models.values()), strict=True)
        return torch.cat([_median(torch.stack(piece)) for piece in pieces])


def _median(values: torch.Tensor) -> torch.Tensor:
    """Of values, shape (clients, n), the median of each column, shape (n,)."""
    # By numpy: of ten clients it sorts columns in a third of PyTorch's time.
    ordered, count = torch.from_numpy(np.sort(values.numpy(), axis=0)), len(values)
    low, high = ordered[(count - 1) // 2], ordered[count // 2]
    # Halves first: the sum of two large values can be infinite. An odd number has one in the middle, unchanged.
    return high if count % 2 else 0.5 * low + 0.5 * high
