# SPDX-License-Identifier: MIT
"""What a closed-form training chooses, from the sums alone: the weights of the classes, and the penalty.

What the user fixed stays. Everything else is a function of the sums of who is there, so it is chosen anew whenever they
change, as a training from scratch would: weights n / (c n_class), to two digits; and the penalty whose heads, each
fitted without one client (or one of FOLDS groups of clients), err least on that client's rows, looked for downhill from
START. Where hospitals are
unlike, leaving one row out leaves its hospital in, and so generalised cross-validation (see `ridge.choose`) chooses too
small a penalty. It chooses where fewer than LEAST_CLIENTS are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.ridge import PENALTIES, HeldOut, choose
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.statistics import Array, Statistics

FOLDS = 5
"""Clients in so many groups, each left out in turn; with no more clients than that, each is one."""

LEAST_CLIENTS = 3
"""With two, a head without one of them is one hospital's."""

START = PENALTIES.index(0.1)
"""The penalty that is tried first."""

Clients = Callable[[], Iterator[ByClass]]
"""Reads the statistics of each client that is there, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings of one fit.

    Attributes:
        class_weights: Weight of a row by its class.
        penalty: lambda over the sum of the weights.
        scores: Penalty to its score, of those that were tried, small is good; empty where the penalty is fixed.
    """

    class_weights: tuple[float, ...]
    penalty: float
    scores: Mapping[float, float]


def decide(rows: Array, clients: Clients, settings: ClosedFormSettings) -> Choice:
    """What a training on these clients' statistics chooses.

    Args:
        rows: All rows by class, shape (c,).
        clients: Whose they are; read where a penalty is to be chosen.
        settings: What the user fixed.

    Raises:
        FedletheError: See `ridge.solve`.
    """
    weights = weights_of(rows, settings)
    if settings.penalty is not None:
        return Choice(weights, settings.penalty, {})
    scores = _scores([held.weighted(weights) for held in _folds(clients)])
    return Choice(weights, min(scores, key=lambda penalty: scores[penalty]), scores)


def weights_of(rows: Array, settings: ClosedFormSettings) -> tuple[float, ...]:
    """Weight of a row by its class: as the user fixed them, or balanced, by the rows of each class, shape (c,)."""
    if settings.class_weights is not None:
        return tuple(settings.class_weights)
    balanced = rows.sum() / (len(rows) * np.maximum(rows, 1))
    return tuple(float(f"{weight:.2g}") for weight in balanced)


def _folds(clients: Clients) -> list[ByClass]:
    """The groups of clients that are left out together; one alone where too few are there."""
    folds: list[ByClass] = []
    number = 0
    for number, held in enumerate(clients(), start=1):
        if number <= FOLDS:
            folds.append(held)
        else:
            folds[number % FOLDS - 1] += held
    return folds if number >= LEAST_CLIENTS else [total(folds)]


def _scores(folds: Sequence[Statistics]) -> Mapping[float, float]:
    """The mean squared error at those who can be left out; of one row left out where these show one class only."""
    left, shown = [], []
    for index, held in enumerate(folds):
        others = [*folds[:index], *folds[index + 1 :]]
        # Without a fold that alone has a class there is nothing to fit.
        if others and (rest := reduce(add, others)).classes > 1:
            left.append(HeldOut.of(rest, held))
            shown.append(held)
    if not shown or (rows := reduce(add, shown)).classes < 2:
        return choose(reduce(add, folds))[1]
    weight = float(rows.weights.sum())
    return _down_from(START, lambda penalty: sum(one.error(penalty) for one in left) / weight)


def _down_from(start: int, score: Callable[[float], float]) -> Mapping[float, float]:
    """The scores of one of PENALTIES, and of its neighbours in the direction in which they fall, until they rise.

    Each score is a factorisation for each fold, and half of them are never near the least.
    """
    scores = {PENALTIES[start]: score(PENALTIES[start])}
    for step in (1, -1):
        at = start + step
        while 0 <= at < len(PENALTIES):
            scores[PENALTIES[at]] = score(PENALTIES[at])
            if scores[PENALTIES[at]] >= scores[PENALTIES[at - step]]:
                break
            at += step
        if at != start + step:  # it fell that way: the other one is uphill
            break
    return scores
