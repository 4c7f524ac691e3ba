# SPDX-License-Identifier: MIT
"""What a penalty errs at clients that were left out, worked out from the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fedlethe.closed_form.ridge import PENALTIES

Floats = npt.NDArray[np.float64]
Rows = tuple[np.ndarray, np.ndarray]


def joined(parts: Sequence[Rows]) -> Rows:
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x, y


def answers(fitted: Rows, weights: Floats, penalty: float, features: Floats) -> Floats:
    """b + R' x, shape (n, c), of a ridge regression on standardised rows, each weighted by its class."""
    x, y, w = fitted[0].astype(np.float64), fitted[1], weights[fitted[1]]
    n, targets = w.sum(), np.eye(len(weights))[y]
    mean, shares = w @ x / n, w @ targets / n
    deviation = np.sqrt(w @ (x - mean) ** 2 / n)
    deviation[deviation == 0] = np.inf
    z = (x - mean) / deviation
    fit = np.linalg.solve((z.T * w) @ z + n * penalty * np.eye(x.shape[1]), (z.T * w) @ (targets - shares))
    found: Floats = shares + ((features - mean) / deviation) @ fit
    return found


def errors_left_out(clients: Sequence[Rows], folds: Sequence[Sequence[int]], weights: Floats) -> dict[float, float]:
    """Penalty to the mean squared error, a row weighted by its class, of heads without a fold's clients on them.

    Nothing where those who can be left out show one class only.
    """
    errors, shown = dict.fromkeys(PENALTIES, 0.0), []
    for fold in folds:
        x, y = joined([clients[index] for index in fold])
        rest = joined([clients[index] for index in range(len(clients)) if index not in fold] or [(x[:0], y[:0])])
        if len(set(rest[1].tolist())) < 2:
            continue
        shown.extend(y.tolist())
        for penalty in PENALTIES:
            apart = np.eye(len(weights))[y] - answers(rest, weights, penalty, x.astype(np.float64))
            errors[penalty] += float(weights[y] @ (apart**2).sum(axis=1))
    if len(set(shown)) < 2:
        return {}
    whole = float(weights[np.array(shown)].sum())
    return {penalty: error / whole for penalty, error in errors.items()}


def least(errors: dict[float, float]) -> float:
    """The penalty that is reached from .1 by going to a neighbour that errs less, the larger one first."""
    at = PENALTIES.index(0.1)
    for step in (1, -1):
        while 0 <= at + step < len(PENALTIES) and errors[PENALTIES[at + step]] < errors[PENALTIES[at]]:
            at += step
    return PENALTIES[at]
