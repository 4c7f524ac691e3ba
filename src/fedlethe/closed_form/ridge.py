# SPDX-License-Identifier: MIT
"""The head: ridge regression of the one-hot class on standardised features, from statistics alone.

Hoerl & Kennard, 1970. With mean m and standard deviation s of the features, Z = (X - m) / s, Yc the centred targets,
n the sum of the rows' weights and penalty the lambda of a row,

    W = (Z' Z + n penalty I)^-1 Z' Yc,     answer(x) = mean of y + W' (x - m) / s,

all of which are functions of the sums in `Statistics`. So are the two things that usually take other data:

- The penalty, by the squared error at clients that were left out (`HeldOut`), or by generalised
  cross-validation (Golub, Heath & Wahba, Technometrics 1979), the rotation-invariant form of leaving one row out: (mean
  squared residual) / (1 - f)^2, f the share of the degrees of freedom that the fit uses. Their trace is estimated from
  fixed probes (Hutchinson, 1990), so that it takes no further factorisation.
- The temperature that makes logits of the answers (one number, so that no decision changes): that of two Gaussians
  with a common variance, class against rest, whose means and variance are what leaving one row out makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlethe.closed_form.statistics import Array, Statistics
from fedlethe.errors import ConfigError, DataError
from fedlethe.later import torch
from fedlethe.seeding import numpy_generator

PENALTIES = (0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0)
"""The penalties that are tried where none is given."""

LEAST_DEVIATION = 1e-6
"""Below this share of the largest standard deviation a feature is taken for constant."""

PROBES = 16


@dataclass(frozen=True, slots=True, eq=False)
class RidgeHead:
    """A linear map from d features to the logits of c classes.

    Attributes:
        weight: Shape (c, d).
        bias: Shape (c,).
        score: Of generalised cross-validation: small is good.
        sensitivity: What an error of 1 in each feature's second moment can move the direction of the head by,
            relatively, shape (d,). (The temperature, which multiplies all of it, is not in it.)
    """

    weight: Array
    bias: Array
    score: float
    sensitivity: Array

    def logits(self, features: Array) -> Array:
        """Shape (n, c), from features, shape (n, d)."""
        logits: Array = features @ self.weight.T + self.bias
        return logits

    def difference(self, other: RidgeHead) -> float:
        """||this - other|| / ||other||, weight and bias as one vector."""
        apart = (self.weight - other.weight, self.bias - other.bias)
        return _norm(*apart) / max(_norm(other.weight, other.bias), 1e-300)


def _norm(weight: Array, bias: Array) -> float:
    return float(np.hypot(np.linalg.norm(weight), np.linalg.norm(bias)))


def solve(statistics: Statistics, penalty: float) -> RidgeHead:
    """Fit the head.

    Args:
        statistics: Of all rows together, two classes at least.
        penalty: lambda over the sum of the rows' weights, above 0.

    Raises:
        FedletheError: The statistics are of one class, or no rows can have them.
    """
    return _Standardised.of(statistics).solve(penalty)


def choose(statistics: Statistics, penalties: Sequence[float] = PENALTIES) -> tuple[float, dict[float, float]]:
    """The penalty with the least score of generalised cross-validation; and all scores.

    Args:
        statistics: Of all rows together.
        penalties: What to try.

    Raises:
        FedletheError: See `solve`.
    """
    system = _Standardised.of(statistics)
    scores = {penalty: system.solve(penalty).score for penalty in penalties}
    return min(scores, key=lambda penalty: scores[penalty]), scores


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Fits to some rows, held against others that were left out.

    With answers b + R' x, the sum over the other rows of w |y - b - R' x|^2 is of their sums alone:
    of each class, w_k - 2 (b_k w_k + r_k . c_k) + b_k^2 w + 2 b_k r_k . s + r_k' G r_k.

    Attributes:
        system: Of the rows that are fitted to, two classes at least.
        held: Of the others.
    """

    system: _Standardised
    held: Statistics

    @classmethod
    def of(cls, rest: Statistics, held: Statistics) -> HeldOut:
        """From the statistics of both."""
        return cls(_Standardised.of(rest), held)

    def error(self, penalty: float) -> float:
        """The squared errors of the fit with this penalty, summed over rows, by weight, and classes.

        Raises:
            FedletheError: See `solve`.
        """
        fitted, held = self.system.statistics.weights, self.held
        raw = self.system.raw(penalty)  # (d, c)
        bias = fitted / fitted.sum() - raw.T @ self.system.mean
        quadratic = np.zeros(raw.shape[1])
        for i, row in held.triangle():  # off the diagonal each product counts twice
            quadratic += raw[i] * (2 * (row @ raw[i:]) - row[0] * raw[i])
        crossed, summed = (raw * held.cross).sum(axis=0), raw.T @ held.sums
        errors = held.weights - 2 * (bias * held.weights + crossed) + bias**2 * held.weights.sum()
        return float((errors + 2 * bias * summed + quadratic).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Standardised:
    """What a fit needs of the statistics.

    Attributes:
        scatter: The upper triangle of Z' Z, shape (d, d); below it zeros.
        targets: Z' Yc, shape (d, c).
        inverse: 1 / s, shape (d,); 0 where a feature is constant.
    """

    statistics: Statistics
    scatter: Array
    targets: Array
    mean: Array
    inverse: Array

    @classmethod
    def of(cls, statistics: Statistics) -> _Standardised:
        if (statistics.weights > 0).sum() < 2:
            raise DataError("the statistics hold rows of one class only; a model needs two")
        n = float(statistics.weights.sum())
        mean = statistics.sums / n
        second = statistics.diagonal() / n
        deviation = np.sqrt(np.maximum(second - mean**2, 0.0))
        still = deviation <= LEAST_DEVIATION * max(float(deviation.max()), 1e-300)
        inverse = np.where(still, 0.0, 1 / np.where(still, 1.0, deviation))
        scatter = np.zeros((statistics.size,) * 2)
        for i, row in statistics.triangle():
            np.subtract(row, (n * mean[i]) * mean[i:], out=scatter[i, i:])
            scatter[i, i:] *= inverse[i] * inverse[i:]
        targets = (statistics.cross - np.outer(mean, statistics.weights)) * inverse[:, None]
        return cls(statistics, scatter, targets, mean, inverse)

    def raw(self, penalty: float) -> Array:
        """R of the answers b + R' x, shape (d, c)."""
        raw: Array = self._solved(self.targets, penalty) * self.inverse[:, None]
        return raw

    def _solved(self, sides: Array, penalty: float) -> Array:
        """(Z' Z + n penalty I)^-1 of right-hand sides, shape (d, k)."""
        system = torch.from_numpy(self.scatter).clone()
        system.diagonal().add_(float(self.statistics.weights.sum()) * penalty)
        factor, info = torch.linalg.cholesky_ex(system, upper=True)
        if info.item():
            raise ConfigError("the statistics are not positive definite with this penalty; choose a larger one")
        solved: Array = torch.cholesky_solve(torch.from_numpy(sides), factor, upper=True).numpy()
        return solved

    def solve(self, penalty: float) -> RidgeHead:
        n, d = float(self.statistics.weights.sum()), len(self.mean)
        ridge = n * penalty
        probes = numpy_generator(0, "probes", d).choice([-1.0, 1.0], (d, PROBES))
        solved = self._solved(np.concatenate([self.targets, probes], axis=1), penalty)
        fit, trace = solved[:, :-PROBES], float((probes * solved[:, -PROBES:]).sum() / PROBES)
        # Z' Z W = Z' Yc - ridge W: the residuals' squares without another product with the matrix.
        shares = self.statistics.weights / n
        explained = (fit * (self.targets + ridge * fit)).sum(axis=0)
        residual = np.maximum(n * shares * (1 - shares) - explained, 0.0)
        used = min((d - ridge * trace + 1) / self.statistics.count, 0.99)
        score = float(residual.sum()) / n / (1 - used) ** 2
        raw = fit * self.inverse[:, None]
        temperature = self._temperature(raw, residual / n, used)
        bias = temperature * (shares - raw.T @ self.mean)
        return RidgeHead(temperature * raw.T, bias, score, self._sensitivity(fit, ridge))

    def _sensitivity(self, fit: Array, ridge: float) -> Array:
        """See `RidgeHead`; to first order.

        With errors of at most e_i in the second moment of feature i, entry (i, j) of Z' Z is off by at most
        sqrt(e_i e_j) / (s_i s_j), so ||dS|| <= a = sum of e_i / s_i^2, and ||Z' dYc|| <= a / sqrt(d). Hence
        ||dW|| / ||W|| <= a (1 + 1 / (sqrt(d) ||W||)) / ridge.
        """
        length = max(float(np.linalg.norm(fit)), 1e-300)
        found: Array = self.inverse**2 * ((1 + 1 / (len(fit) ** 0.5 * length)) / ridge)
        return found

    def _temperature(self, raw: Array, residual: Array, used: float) -> float:
        """From answers to logits: the mean over classes of (class's mean - rest's) / variance within, (c - 1) / c."""
        n, weights = float(self.statistics.weights.sum()), self.statistics.weights
        c = len(weights)
        shares = weights / n
        slopes = []
        for k in np.flatnonzero(weights):
            inside = raw[:, k] @ (self.statistics.cross[:, k] / weights[k] - self.mean)
            outside = -inside * shares[k] / (1 - shares[k])  # the mean of all is 0
            # Leaving a row out: answer less used x target, over 1 - used.
            apart = (inside - outside - used) / (1 - used)
            # The residual's variance is that within the classes and that of the classes' means around their targets.
            missed = shares[k] * (1 - shares[k]) * (1 - (inside - outside)) ** 2
            # So many rows cannot show a variance below one over their number.
            within = max(float(residual[k]) - missed, 0.0) / (1 - used) ** 2 + 1 / self.statistics.count
            slopes.append(max(apart, 1e-3) / within)
        return float(np.mean(slopes)) * (c - 1) / c
