# SPDX-License-Identifier: MIT
"""Sums over rows: against the rows, and what no rows can have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.closed_form.statistics import Statistics
from fedlethe.errors import FedletheError


def rows(seed: int, count: int, size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(1, 1, (count, size)).astype(np.float32), generator.integers(0, 2, count)


def test_they_are_the_sums_that_they_are_said_to_be() -> None:
    x, y = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([0, 1, 1])
    found = Statistics.of(x, y, (1.0, 0.5))
    np.testing.assert_array_equal(found.rows, [1, 2])
    np.testing.assert_array_equal(found.weights, [1, 1])
    np.testing.assert_array_equal(found.sums, [1 + 1.5 + 2.5, 2 + 2 + 3])
    np.testing.assert_allclose(found.gram, [1 + 4.5 + 12.5, 2 + 6 + 15, 4 + 8 + 18])  # the upper triangle
    np.testing.assert_allclose(found.diagonal(), [18, 30])
    assert [(i, row.round(9).tolist()) for i, row in found.triangle()] == [(0, [18, 23]), (1, [30])]
    np.testing.assert_allclose(found.cross, np.array([[1, 4], [2, 5]]))
    assert (found.count, found.size) == (3, 2)


def test_more_rows_than_are_taken_at_once() -> None:
    x, y = rows(0, 2500)
    found = Statistics.of(x, y, (1.0, 1.0))
    whole = x.astype(np.float64).T @ x.astype(np.float64)
    np.testing.assert_allclose(found.gram, whole[np.triu_indices(4)], rtol=1e-12)


def test_what_no_rows_can_have_is_refused() -> None:
    x, y = rows(0, 30)
    good = Statistics.of(x, y, (1.0, 1.0))
    good.check("a")
    gram = good.gram.copy()
    gram[0] = -1
    for bad, message in (
        (replace(good, sums=good.sums * np.nan), "a: the statistics hold NaN"),
        (replace(good, rows=good.rows - 100), "rows"),
        (replace(good, rows=good.rows + 0.5), "rows"),
        (replace(good, weights=good.weights * 0), "weights do not fit"),
        (replace(good, gram=gram), "not positive semi-definite"),
        (replace(good, sums=good.sums * 10), "do not add up"),
        (replace(good, sums=good.sums * 10, cross=good.cross * 10), "not positive semi-definite"),  # means too large
        (replace(good, cross=good.cross[:, :1]), "shapes"),
        (replace(good, gram=good.gram[:-1]), "shapes"),
    ):
        with pytest.raises(FedletheError, match=message):
            bad.check("a")


@given(seed=st.integers(0, 1000), count=st.integers(1, 12))
def test_statistics_of_any_rows_pass(seed: int, count: int) -> None:
    x, y = rows(seed, count, size=20)  # fewer rows than features: second moments without full rank
    Statistics.of(100 * x, y, (1.9, 0.67)).check("a")
