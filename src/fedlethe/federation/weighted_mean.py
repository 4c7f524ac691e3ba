# SPDX-License-Identifier: MIT
"""Federated averaging: w_t = w_(t-1) + sum over k of p_k x delta_k, p_k a client's share of the examples.

McMahan, Moore, Ramage, Hampson, Agueera y Arcas, 'Communication-Efficient Learning of Deep Networks from Decentralized
Data', AISTATS 2017, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fedlethe.federation.aggregate import aggregate
from fedlethe.types import ClientId, Vector


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedMean:
    """The mean of the clients' models, weighted by their numbers of examples."""

    paper: ClassVar[str] = "McMahan et al., AISTATS 2017"
    is_mean: ClassVar[bool] = True

    def aggregate(self, before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
        """See `Aggregator.aggregate`."""
        return aggregate(before, models, weights)


WEIGHTED_MEAN = WeightedMean()
"""What aggregates where nothing else is asked for."""
