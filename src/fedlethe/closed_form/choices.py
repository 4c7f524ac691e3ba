# SPDX-License-Identifier: MIT
"""What a closed-form training chooses, from the sums alone: the weights of the classes, and the penalty.

What the user fixed stays. Everything else is a function of the sums of who is there, so it is chosen anew whenever they
change, as a training from scratch would: weights n / (c n_class), to two digits, and the penalty with the least score
of generalised cross-validation (see `ridge.choose`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.ridge import choose
from fedlethe.closed_form.settings import ClosedFormSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings of one fit.

    Attributes:
        class_weights: Weight of a row by its class.
        penalty: lambda over the sum of the weights.
        scores: Penalty to its score; empty where the penalty is fixed.
    """

    class_weights: tuple[float, ...]
    penalty: float
    scores: Mapping[float, float]


def decide(sums: ByClass, settings: ClosedFormSettings) -> Choice:
    """What a training on these sums chooses.

    Raises:
        FedletheError: See `ridge.solve`.
    """
    weights = settings.class_weights or _balanced(sums)
    if settings.penalty is not None:
        return Choice(tuple(weights), settings.penalty, {})
    penalty, scores = choose(sums.weighted(weights))
    return Choice(tuple(weights), penalty, scores)


def _balanced(sums: ByClass) -> tuple[float, ...]:
    balanced = sums.rows.sum() / (len(sums.rows) * np.maximum(sums.rows, 1))
    return tuple(float(f"{weight:.2g}") for weight in balanced)
