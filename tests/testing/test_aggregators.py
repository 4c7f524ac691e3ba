# SPDX-License-Identifier: MIT
"""Every row of AGGREGATORS passes the check, and every mistake is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.aggregate import aggregate
from fedlethe.federation.aggregator import AGGREGATORS
from fedlethe.testing import check_aggregator
from fedlethe.types import Vector


@pytest.mark.parametrize("name", list(AGGREGATORS))
def test_ours_pass(name: str) -> None:
    check_aggregator(AGGREGATORS[name]())


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Every client counts the same."""

    paper: ClassVar[str] = "a test"
    is_mean: ClassVar[bool] = False

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        return torch.stack(list(models.values())).mean(dim=0)


class TrueMean(Plain):
    """Says that it is the mean, and is."""

    is_mean: ClassVar[bool] = True

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        return aggregate(before, models, weights)


def test_one_from_outside_passes() -> None:
    check_aggregator(Plain())
    check_aggregator(TrueMean())


@dataclass(frozen=True, kw_only=True)
class Noisy(Plain):
    """Draws."""

    def aggregate(self, before: Vector, *_: Any) -> Vector:
        return torch.rand_like(before)


@dataclass(frozen=True, kw_only=True)
class Remembers(Plain):
    """Keeps a momentum."""

    kept: list[Vector] = field(default_factory=list)

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        self.kept.append(aggregate(before, models, weights))
        return torch.stack(self.kept).mean(dim=0)


class ByNumpy(Plain):
    """Writes where torch does not see it."""

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        mean = super().aggregate(before, models, weights)
        models["client-0"].numpy()[:] = 0.0
        return mean


class ClipsBefore(Plain):
    """Writes to the model before, where torch does not see it."""

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        np.clip(before.numpy(), 0.0, 0.1, out=before.numpy())
        return super().aggregate(before, models, weights)


class ClippedMean(TrueMean):
    """The mean of models that it has made smaller."""

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        for model in models.values():
            np.clip(model.numpy(), 0.0, 0.2, out=model.numpy())
        return aggregate(before, models, weights)


class Lonely(Plain):
    """Needs two."""

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        return list(models.values())[1]


class Unsaid(Plain):
    """Says nothing of its paper."""

    paper: ClassVar[str] = " "


@pytest.mark.parametrize(
    ("aggregator", "words"),
    [
        (Noisy(), "Noisy': makes another model of the same models the next time; draw nothing by chance"),
        (Remembers(), "Remembers': makes another model of the same models the next time; draw nothing"),
        (ByNumpy(), r"ByNumpy': writes to models\['client-0'\], which is not its own; clone\(\) it before"),
        (ClipsBefore(), r"ClipsBefore': writes to before, which is not its own; clone\(\) it before"),
        (ClippedMean(), r"ClippedMean': writes to models\['client-0'\], which is not its own"),
        (Lonely(), "Lonely': fails .*IndexError.*; correct it, or its options"),
        (Unsaid(), "Unsaid': its 'paper' says nothing; write: paper: ClassVar"),
    ],
)
def test_a_mistake_is_told(aggregator: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=rf"^aggregator '{__name__}:{words}"):
        check_aggregator(aggregator)


def test_how_many_clients_it_takes_can_be_said() -> None:
    check_aggregator(Lonely(), counts=(2, 3))
