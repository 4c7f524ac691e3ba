# SPDX-License-Identifier: MIT
"""What a ridge head is fitted to: weighted sums over rows (made of what clients send, see `by_class`).

A row is an image's features x, shape (d,), its class y and its weight w, which depends on the class alone. The sums are
those of w, w x, w x x', w y and w x y' (y one-hot), in float64, and the number of rows of each class. A model is made
of the sums of all clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from fedlethe.errors import DataError

Array = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Sums over rows of d features and c classes.

    Attributes:
        rows: Rows of each class, shape (c,), whole numbers.
        weights: Sums of w by class, shape (c,).
        sums: Sum of w x, shape (d,).
        gram: The upper triangle of the sum of w x x', row by row, shape (d (d + 1) / 2,).
        cross: Sum of w x y', shape (d, c).
    """

    rows: Array
    weights: Array
    sums: Array
    gram: Array
    cross: Array

    @classmethod
    def of(
        cls,
        features: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        class_weights: Sequence[float],
    ) -> Statistics:
        """The statistics of some rows.

        Args:
            features: Shape (n, d).
            labels: Classes, shape (n,).
            class_weights: w by class, c of them, the same for all clients: constants, so that sums stay sums.
        """
        size, classes = features.shape[1], len(class_weights)
        weights = np.asarray(class_weights, dtype=np.float64)
        gram, sums, cross = np.zeros((size, size)), np.zeros(size), np.zeros((size, classes))
        for start in range(0, len(labels), ROWS_AT_ONCE):
            x = features[start : start + ROWS_AT_ONCE].astype(np.float64)
            w = weights[labels[start : start + ROWS_AT_ONCE]]
            sums += w @ x
            cross += x.T @ (w[:, None] * np.eye(classes)[labels[start : start + ROWS_AT_ONCE]])
            x *= np.sqrt(w)[:, None]
            gram += x.T @ x
        rows = np.bincount(labels, minlength=classes).astype(np.float64)
        return cls(rows, weights * rows, sums, packed(gram), cross)

    def __add__(self, other: Statistics) -> Statistics:
        """Of both one's rows."""
        return Statistics(*(one + another for one, another in zip(self._arrays(), other._arrays(), strict=True)))

    @property
    def classes(self) -> int:
        """The number of classes that have rows."""
        return int((self.rows > 0).sum())

    @property
    def size(self) -> int:
        """d, the number of features."""
        return len(self.sums)

    @property
    def count(self) -> int:
        """The number of rows."""
        return round(float(self.rows.sum()))

    def triangle(self) -> Iterator[tuple[int, Array]]:
        """The rows of the second moments from the diagonal on: i, and shape (d - i,); views."""
        start = 0
        for i in range(self.size):
            yield i, self.gram[start : start + self.size - i]
            start += self.size - i

    def diagonal(self) -> Array:
        """Sum of w x_i^2, shape (d,)."""
        lengths = np.arange(self.size, 0, -1)
        diagonal: Array = self.gram[np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)]
        return diagonal

    def check(self, where: str) -> None:
        """Refuse statistics that no rows can have.

        Args:
            where: Whose they are, for the message.

        Raises:
            DataError: They are not finite, counts are no whole numbers of rows, shapes do not fit, or the second
                moments are not positive semi-definite.
        """
        d, c = len(self.sums), len(self.rows)
        if (self.gram.shape, self.cross.shape, self.weights.shape) != ((d * (d + 1) // 2,), (d, c), (c,)):
            raise DataError(f"{where}: the statistics' shapes do not fit together; make them again")
        if not all(bool(np.isfinite(array).all()) for array in self._arrays()):
            raise DataError(f"{where}: the statistics hold NaN or infinite values; make them again")
        if (self.rows < 0).any() or (self.rows != np.round(self.rows)).any() or (self.weights < 0).any():
            raise DataError(f"{where}: the statistics count {self.rows.tolist()} rows; make them again")
        if ((self.weights > 0) != (self.rows > 0)).any():
            raise DataError(f"{where}: the statistics' weights do not fit their numbers of rows; make them again")
        if (error := float(np.abs(self.cross.sum(axis=1) - self.sums).max(initial=0.0))) > self._tolerance():
            raise DataError(f"{where}: the sums by class do not add up (by {error:.1e}); make the statistics again")
        self._check_definite(where)

    def _tolerance(self) -> float:
        return 1e-9 * max(1.0, float(np.abs(self.gram).max(initial=0.0)), float(self.weights.sum()))

    def _check_definite(self, where: str) -> None:
        # With the mean in it the matrix below is that of (1, x), which is positive semi-definite for any rows.
        import torch

        d = self.size
        whole = np.zeros((d + 1, d + 1))
        whole[0, 0], whole[0, 1:] = self.weights.sum(), self.sums
        for i, row in self.triangle():
            whole[i + 1, i + 1 :] = row
        whole[np.diag_indices(d + 1)] += self._tolerance()
        if torch.linalg.cholesky_ex(torch.from_numpy(whole), upper=True).info.item():
            raise DataError(
                f"{where}: the second moments are not positive semi-definite, so they are not those of any images; "
                "make the statistics again"
            )

    def _arrays(self) -> tuple[Array, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


def packed(matrix: Array) -> Array:
    """The upper triangle of a matrix, shape (d, d), row by row."""
    size = len(matrix)
    packed, start = np.empty(size * (size + 1) // 2), 0
    for i in range(size):
        packed[start : start + size - i] = matrix[i, i:]
        start += size - i
    return packed


def clipped(features: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.float32]:
    """Rows, shape (n, d), those longer than `radius` brought to that length."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    factors = np.minimum(1.0, radius / np.maximum(lengths, 1e-12))
    shorter: npt.NDArray[np.float32] = (features * factors).astype(np.float32)
    return shorter
