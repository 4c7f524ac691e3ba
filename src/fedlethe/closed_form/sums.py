# SPDX-License-Identifier: MIT
"""The sums of all clients, to which statistics are added and from which they are subtracted; rounding is watched.

Adding and subtracting floats is not undone exactly: each operation leaves an error of half a unit in the last place of
the largest sum that it went through. `Sums` bounds what that may be of each feature's second moment, `fit` turns the
bound into one on the head, and where it exceeds LIMIT the sums are made again of what remains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.choices import Choice, Clients, decide
from fedlethe.closed_form.ridge import RidgeHead, solve
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.statistics import Array
from fedlethe.errors import DataError

LIMIT = 1e-8
"""The most that a head may differ, relatively, from one fitted from scratch."""

RESIDUAL = "retrain_equivalence_residual"
"""The figure that says how much it differs."""

HALF_UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Statistics that others were added to or subtracted from.

    Attributes:
        total: What they came to.
        passed: Second moments on the way, summed over the operations since they were made from scratch, shape (c, d).
    """

    total: ByClass
    passed: Array

    @classmethod
    def of(cls, parts: Iterable[ByClass]) -> Sums:
        """From scratch: the parts, at least one, added in their order."""
        return cls.whole(total(parts))

    @classmethod
    def whole(cls, statistics: ByClass) -> Sums:
        """Statistics that count as made from scratch."""
        return cls(statistics, np.zeros(statistics.sums.shape))

    def plus(self, part: ByClass) -> Sums:
        """A client or patient joins."""
        self._demand_fit(part)
        joined = self.total + part
        return Sums(joined, self.passed + joined.diagonals())

    def minus(self, part: ByClass) -> Sums:
        """A client or patient leaves.

        Raises:
            DataError: The sums hold fewer rows of a class than it would take away.
        """
        self._demand_fit(part)
        if (part.rows > self.total.rows).any():
            raise DataError(
                f"the sums hold {self.total.rows.tolist()} rows by class, fewer than the {part.rows.tolist()} to be "
                "taken away; those rows were never in them"
            )
        return Sums(self.total - part, self.passed + self.total.diagonals())

    def _demand_fit(self, part: ByClass) -> None:
        if not self.total.fits(part):
            raise DataError(f"statistics of {part.size} features do not fit sums of {self.total.size}")


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A head and the sums that it was fitted to.

    Attributes:
        head: The model.
        choice: The settings that it was fitted with.
        sums: What it is a function of.
        rebuilt: Whether the sums were made again, since rounding could have exceeded LIMIT.
        bound: On the head's relative difference from one fitted from scratch; 0 where it was.
    """

    head: RidgeHead
    choice: Choice
    sums: Sums
    rebuilt: bool
    bound: float


def fit(sums: Sums, settings: ClosedFormSettings, clients: Clients) -> Fit:
    """Choose and fit, from sums made again of the clients where rounding could move the head by more than LIMIT.

    Raises:
        FedletheError: No rows can have these sums.
    """
    return _fit(sums, decide(sums.total.rows, clients, settings), clients)


def scratch(clients: Clients, settings: ClosedFormSettings) -> Fit:
    """The fit of a training on these clients, every choice made of them."""
    sums = total(clients())
    return _fit(Sums.whole(sums), decide(sums.rows, clients, settings), clients)


def again(fitted: Fit, clients: Clients) -> Fit:
    """The same choice, fitted to sums made again of the clients."""
    return replace(_solve(Sums.of(clients()), fitted.choice), rebuilt=True)


def _fit(sums: Sums, choice: Choice, clients: Clients) -> Fit:
    fitted = _solve(sums, choice)
    return fitted if fitted.bound <= LIMIT else again(fitted, clients)


def _solve(sums: Sums, choice: Choice) -> Fit:
    head = solve(sums.total.weighted(choice.class_weights), choice.penalty)
    passed = np.asarray(choice.class_weights) @ sums.passed  # (d,)
    return Fit(head, choice, sums, False, HALF_UNIT * float(passed @ head.sensitivity))
