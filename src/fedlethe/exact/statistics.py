# SPDX-License-Identifier: MIT
"""What a client sends in the closed-form federation: sums over its rows, which add up and subtract.

A row is an image's features x, shape (d,), its class y and its weight w, which depends on the class alone. The sums are
those of w, w x, w x x', w y and w x y' (y one-hot), in float64, and the number of rows of each class. A model is made
of the sums of all clients, so a client, or a patient, is taken out by subtracting its sums.

What they reveal: means and second moments of the features, by class. With few rows, or a row that is known in part,
that is information about single images; `noisy` hides a row, at a cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from fedlethe import files
from fedlethe.errors import FedletheError
from fedlethe.privacy.accounting import gaussian_sigma

Array = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Sums over rows of d features and c classes.

    Attributes:
        rows: Rows of each class, shape (c,), whole numbers.
        weights: Sums of w by class, shape (c,).
        sums: Sum of w x, shape (d,).
        gram: Sum of w x x', shape (d, d), symmetric.
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
        total = cls.nothing(size, classes)
        for start in range(0, len(labels), ROWS_AT_ONCE):
            x = features[start : start + ROWS_AT_ONCE].astype(np.float64)
            y = np.eye(classes)[labels[start : start + ROWS_AT_ONCE]]
            w = weights[labels[start : start + ROWS_AT_ONCE]]
            root = x * np.sqrt(w)[:, None]
            weighted = w[:, None] * y
            total = total + cls(y.sum(axis=0), weighted.sum(axis=0), w @ x, root.T @ root, x.T @ weighted)
        return total

    @classmethod
    def nothing(cls, size: int, classes: int) -> Statistics:
        """The statistics of no rows."""
        shapes = ((classes,), (classes,), (size,), (size, size), (size, classes))
        return cls(*(np.zeros(shape) for shape in shapes))

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(mine + theirs for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)))

    def __sub__(self, other: Statistics) -> Statistics:
        return Statistics(*(mine - theirs for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)))

    @property
    def size(self) -> int:
        """D."""
        return len(self.sums)

    @property
    def count(self) -> int:
        """The number of rows."""
        return round(float(self.rows.sum()))

    def check(self, where: str) -> None:
        """Refuse statistics that no rows can have.

        Args:
            where: Whose they are, for the message.

        Raises:
            FedletheError: They are not finite or symmetric, counts are no whole numbers of rows, shapes do not fit, or
                the second moments are not positive semi-definite.
        """
        d, c = len(self.sums), len(self.rows)
        if (self.gram.shape, self.cross.shape, self.weights.shape) != ((d, d), (d, c), (c,)):
            raise FedletheError(f"{where}: the statistics' shapes do not fit together; make them again")
        if not all(bool(np.isfinite(array).all()) for array in self._arrays()):
            raise FedletheError(f"{where}: the statistics hold NaN or infinite values; make them again")
        if (self.rows < 0).any() or (self.rows != np.round(self.rows)).any() or (self.weights < 0).any():
            raise FedletheError(f"{where}: the statistics count {self.rows.tolist()} rows; make them again")
        scale = float(np.abs(self.gram).max())
        if float(np.abs(self.gram - self.gram.T).max()) > 1e-9 * scale:
            raise FedletheError(f"{where}: the second moments are not symmetric; make the statistics again")
        # With the mean in it the matrix below is that of (1, x), which is positive semi-definite for any rows.
        whole = np.empty((d + 1, d + 1))
        whole[0, 0], whole[0, 1:], whole[1:, 0], whole[1:, 1:] = self.weights.sum(), self.sums, self.sums, self.gram
        whole[np.diag_indices(d + 1)] += 1e-9 * max(scale, float(whole[0, 0]))
        try:
            np.linalg.cholesky(whole)
        except np.linalg.LinAlgError:
            raise FedletheError(
                f"{where}: the second moments are not positive semi-definite, so they are not those of any images; "
                "make the statistics again"
            ) from None

    def save(self, path: Path) -> int:
        """Write them as safetensors, of the second moments the upper triangle.

        Returns:
            The file's length: what the client sends, in bytes.
        """
        content = safetensors.numpy.save({**self._named(), "gram": self.gram[np.triu_indices(self.size)]})
        with files.written_whole(path) as aside:
            aside.write_bytes(content)
        return len(content)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote, and check it.

        Raises:
            FedletheError: The file is missing, not whole, or holds what no rows can have.
        """
        try:
            arrays = safetensors.numpy.load_file(path)
            size = len(arrays["sums"])
            gram = np.zeros((size, size))
            gram[np.triu_indices(size)] = arrays.pop("gram")
            arrays["gram"] = gram + np.triu(gram, 1).T
            found = cls(**arrays)
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise FedletheError(f"{path}: cannot be read as statistics ({error}); make it again") from None
        found.check(str(path))
        return found

    def noisy(self, epsilon: float, delta: float, radius: float, generator: np.random.Generator) -> Statistics:
        """The same with Gaussian noise that hides any one row.

        Formal guarantees:
            (epsilon, delta)-differential privacy of one client's statistics against adding or removing a row, where
            every row has norm <= radius and weight <= 1 (see `clipped`): with the upper triangle of the second moments
            the sums move by at most sqrt(r^4 + 2 r^2 + 2) in L2. Counts become noisy numbers, which are rounded.

        Args:
            epsilon: Above 0.
            delta: Between 0 and 1.
            radius: Bound on the norm of a row.
            generator: Draws the noise; whoever knows its seed can take the noise away.
        """
        sigma = gaussian_sigma(epsilon, delta, (radius**4 + 2 * radius**2 + 2) ** 0.5)
        noise = np.triu(generator.normal(0, sigma, self.gram.shape))
        gram = self.gram + noise + np.triu(noise, 1).T
        values, vectors = np.linalg.eigh(gram)
        rows = np.maximum(np.round(self.rows + generator.normal(0, sigma, self.rows.shape)), 1.0)
        return Statistics(
            rows=rows,
            weights=np.maximum(self.weights + generator.normal(0, sigma, self.weights.shape), 1.0),
            sums=self.sums + generator.normal(0, sigma, self.sums.shape),
            gram=(vectors * np.maximum(values, 0.0)) @ vectors.T,
            cross=self.cross + generator.normal(0, sigma, self.cross.shape),
        )

    def _arrays(self) -> tuple[Array, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def _named(self) -> dict[str, Array]:
        return {field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}


def total(parts: Sequence[Statistics]) -> Statistics:
    """The sum of some statistics, at least one, added in their order."""
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found


def clipped(features: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.float32]:
    """Rows, shape (n, d), those longer than `radius` brought to that length."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    shorter: npt.NDArray[np.float32] = (features * np.minimum(1.0, radius / np.maximum(lengths, 1e-12))).astype(
        np.float32
    )
    return shorter
