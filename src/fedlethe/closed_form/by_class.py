# SPDX-License-Identifier: MIT
"""What a client sends: for each class the number of its rows, their sum and their second moments, without any weight.

Whatever weighs the classes is applied to these afterwards (`weighted`), so the weights can be chosen anew whenever
somebody leaves or joins. No weight reaches a node, so none can make a row count for more than one there.

What they reveal: means and second moments of the features, by class. With few rows, or a row that is known in part,
that is information about single images; `noisy` hides a row, at a cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from fedlethe import tensors
from fedlethe.closed_form.statistics import Array, Statistics, packed
from fedlethe.errors import DataError, IntegrityError
from fedlethe.privacy.accounting import gaussian_sigma
from fedlethe.privacy.noise import Noise


@dataclass(frozen=True, slots=True, eq=False)
class ByClass:
    """Sums over rows of d features, for each of c classes.

    Attributes:
        rows: Rows, shape (c,), whole numbers.
        sums: Sums of x, shape (c, d).
        gram: The upper triangles of the sums of x x', row by row, shape (c, d (d + 1) / 2).
    """

    rows: Array
    sums: Array
    gram: Array

    @classmethod
    def of(cls, features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int) -> ByClass:
        """The sums of some rows: features, shape (n, d), and labels, shape (n,)."""
        parts = []
        for label in range(classes):
            own = features[labels == label]
            parts.append(Statistics.of(own, np.zeros(len(own), np.int64), (1.0,)))
        return cls(*(np.stack(one) for one in zip(*((p.rows[0], p.sums, p.gram) for p in parts), strict=True)))

    @classmethod
    def nothing(cls, size: int, classes: int) -> ByClass:
        """The sums of no rows."""
        return cls(np.zeros(classes), np.zeros((classes, size)), np.zeros((classes, size * (size + 1) // 2)))

    def __add__(self, other: ByClass) -> ByClass:
        return ByClass(self.rows + other.rows, self.sums + other.sums, self.gram + other.gram)

    def __sub__(self, other: ByClass) -> ByClass:
        return ByClass(self.rows - other.rows, self.sums - other.sums, self.gram - other.gram)

    @property
    def size(self) -> int:
        """d, the number of features."""
        return int(self.sums.shape[1])

    @property
    def count(self) -> int:
        """The number of rows."""
        return round(float(self.rows.sum()))

    def weighted(self, class_weights: Sequence[float]) -> Statistics:
        """The sums in which each row counts by the weight of its class, of which there are c."""
        weights = np.asarray(class_weights, dtype=np.float64)
        cross = (weights[:, None] * self.sums).T
        return Statistics(self.rows, weights * self.rows, weights @ self.sums, weights @ self.gram, cross.copy())

    def diagonals(self) -> Array:
        """Sums of x_i^2, shape (c, d)."""
        return np.stack([self._single(label).diagonal() for label in range(len(self.rows))])

    def fits(self, other: ByClass) -> bool:
        """Whether both are of as many features and classes."""
        return self.gram.shape == other.gram.shape and self.sums.shape == other.sums.shape

    def check(self, where: str) -> None:
        """Refuse sums that no rows can have; `where` says whose they are.

        Raises:
            DataError: See `Statistics.check`.
        """
        shapes = self.rows.ndim == 1 and self.sums.ndim == 2 and self.gram.ndim == 2
        if not shapes or not len(self.rows) == len(self.sums) == len(self.gram):
            raise DataError(f"{where}: the statistics' shapes do not fit together; make them again")
        for label in range(len(self.rows)):
            self._single(label).check(where)
            if not self.rows[label] and (self.sums[label].any() or self.gram[label].any()):
                raise DataError(f"{where}: the statistics have sums of a class without rows; make them again")

    def _single(self, label: int) -> Statistics:
        rows = self.rows[label : label + 1]
        return Statistics(rows, rows, self.sums[label], self.gram[label], self.sums[label][:, None])

    def content(self) -> bytes:
        """They as a safetensors file: what the client sends."""
        return safetensors.numpy.save({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, content: bytes, where: Path) -> ByClass:
        """What `content` gave; `where` names the file in messages. From elsewhere it is to be held against `check`.

        Raises:
            IntegrityError: The file is not whole, or holds something else.
        """
        arrays, _ = tensors.read_arrays(content, where)
        if set(arrays) != {field.name for field in fields(cls)}:
            held = ", ".join(arrays)[:200]
            raise IntegrityError(
                f"{where}: holds no statistics by class (it holds {held or 'nothing'}); statistics of an earlier "
                "version cannot be read: train again"
            )
        if any(array.dtype != np.float64 for array in arrays.values()):
            raise IntegrityError(f"{where}: its statistics are not float64; make it again")
        return cls(**arrays)

    def noisy(self, epsilon: float, delta: float, radius: float, noise: Noise) -> ByClass:
        """The same with Gaussian noise that hides any one row.

        Formal guarantees:
            (epsilon, delta)-differential privacy of one release against adding or removing a row, where every row has
            norm <= radius (see `clipped`) and `noise` cannot be drawn again. A row is in one class alone, and moves its
            count by 1, its sum by at most r and the upper triangle of its second moments by at most r^2: sqrt(r^4 +
            r^2 + 1) together. Counts are then rounded and kept from falling below one, and moments brought to the
            nearest that are positive semi-definite. Two releases of the same rows tell more than one. Not covered:
            what the rounding of float64 tells of the noise (Mironov, CCS 2012).
        """
        sigma = gaussian_sigma(epsilon, delta, (radius**4 + radius**2 + 1) ** 0.5)
        parts = [self._noisy(label, sigma, noise) for label in range(len(self.rows))]
        return ByClass(*(np.stack(one) for one in zip(*parts, strict=True)))

    def _noisy(self, label: int, sigma: float, noise: Noise) -> tuple[Array, Array, Array]:
        held = self._single(label)
        count = np.maximum(np.round(held.rows[0] + sigma * noise.standard_normal(1)[0]), 1.0)
        whole = np.zeros((self.size + 1,) * 2)  # of (1, x): see `Statistics.check`
        whole[0, 0], whole[0, 1:] = count, held.sums + sigma * noise.standard_normal(self.size)
        for i, row in held.triangle():
            whole[i + 1, i + 1 :] = row + sigma * noise.standard_normal(len(row))
        values, vectors = np.linalg.eigh(whole, UPLO="U")
        whole = (vectors * np.maximum(values, 0.0)) @ vectors.T
        whole *= count / whole[0, 0]
        return count, whole[0, 1:].copy(), packed(whole[1:, 1:])


def total(parts: Iterable[ByClass]) -> ByClass:
    """The sum of some statistics, at least one, added in their order."""
    return reduce(add, parts)
