# SPDX-License-Identifier: MIT
"""What every aggregator owes, checked on a handful of small models."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fedlethe.errors import ConfigError
from fedlethe.federation.aggregate import shares
from fedlethe.federation.aggregator import (
    Aggregator,
    aggregator_name,
    demand_repeatable,
    undeclared_aggregator,
)
from fedlethe.seeding import torch_generator
from fedlethe.testing.instances import demand_instance, sizes
from fedlethe.types import ClientId, Vector
from fedlethe.vector import Layout

SMALL = Layout({"norm.running_var": (2,), "weight": (3,)})
"""The layout of the models that an aggregator is checked on: two running variances, and three weights."""


def check_aggregator(aggregator: Aggregator, counts: Sequence[int] = (1, 2, 5)) -> None:
    """Check an aggregator as AGGREGATORS and `--aggregator` take it.

    Formal guarantees:
        What passes makes one finite float32 model, shape (P,), of the clients' models; writes to none of them; makes
        the same bytes of the same models, whenever it is asked; and says of itself that it is the weighted mean only
        where it is.

    Args:
        aggregator: It, with options.
        counts: Of how many clients it makes a model. A round can be left with one, where the others are erased, are
            not drawn or do not answer.

    Raises:
        ConfigError: It breaks one of these; one line names it and says what to do.

    Example:
        >>> from fedlethe.federation.aggregator import AGGREGATORS
        >>> check_aggregator(AGGREGATORS["median"]())
    """
    demand_instance("check_aggregator", aggregator, "AGGREGATORS['median']()")
    if not (whole := sizes(counts)):
        raise ConfigError(f"check_aggregator: counts {counts}: give whole numbers of clients, 1 at least")
    name = f"aggregator '{aggregator_name(aggregator)}'"
    if (problem := undeclared_aggregator(type(aggregator))) is not None:
        raise ConfigError(f"{name}: {problem}")
    for count in whole:
        models = _models(count)
        before = models["client-0"] * 0.5
        weights = shares({client: index + 1 for index, client in enumerate(models)})
        demand_repeatable(aggregator, SMALL, before, models, weights)


def _models(count: int) -> dict[ClientId, Vector]:
    """Models of so many clients, shape (5,) each, all above 0, as running variances are."""
    generator = torch_generator(0, "check_aggregator", count)
    return {f"client-{index}": torch.rand(SMALL.size, generator=generator) + 0.1 for index in range(count)}
