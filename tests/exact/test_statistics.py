# SPDX-License-Identifier: MIT
"""Sums over rows: against the rows, added and subtracted, on disk, and with noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.exact.statistics import Statistics, clipped, total
from fedlethe.privacy.accounting import gaussian_sigma


def rows(seed: int, count: int, size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(1, 1, (count, size)).astype(np.float32), generator.integers(0, 2, count)


def same(one: Statistics, other: Statistics) -> None:
    for name in ("rows", "weights", "sums", "gram", "cross"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-9)


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


@given(seed=st.integers(0, 1000), first=st.integers(0, 30), second=st.integers(1, 30))
def test_parts_add_up_and_subtract(seed: int, first: int, second: int) -> None:
    x, y = rows(seed, first + second)
    one, other = (Statistics.of(x[part], y[part], (1.0, 2.0)) for part in (slice(first), slice(first, None)))
    whole = Statistics.of(x, y, (1.0, 2.0))
    same(total([one, other]), whole)
    same(whole - other, one)


def test_more_rows_than_are_taken_at_once() -> None:
    x, y = rows(0, 2500)
    found = Statistics.of(x, y, (1.0, 1.0))
    whole = x.astype(np.float64).T @ x.astype(np.float64)
    np.testing.assert_allclose(found.gram, whole[np.triu_indices(4)], rtol=1e-12)


def test_the_file_is_the_upper_triangle_and_comes_back_whole(tmp_path: Path) -> None:
    x, y = rows(0, 50, size=100)
    found = Statistics.of(x, y, (1.0, 1.0))
    content = found.content()
    assert 8 * 100 * 101 / 2 < len(content) < 8 * (100 * 101 / 2 + 100 * 5) + 1000
    loaded = Statistics.read(content, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.gram, found.gram)
    same(loaded, found)
    with pytest.raises(FedletheError, match=r"a\.safetensors: is not a whole"):
        Statistics.read(content[:-9], tmp_path / "a.safetensors")


def test_1024_features_are_under_5_megabytes() -> None:
    assert len(Statistics.nothing(1024, 2).content()) < 5_000_000


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


@given(seed=st.integers(0, 1000))
def test_one_row_moves_the_sums_by_no_more_than_the_noise_is_made_for(seed: int) -> None:
    radius = 1.5
    x, y = rows(seed, 1, size=6)
    one = Statistics.of(clipped(10 * x, radius), y, (1.0, 1.0))
    moved = np.concatenate([one.gram, one.cross.ravel(), one.rows])
    assert np.linalg.norm(moved) <= (radius**4 + radius**2 + 1) ** 0.5 + 1e-6


def test_noise_has_the_size_that_its_guarantee_needs() -> None:
    size, radius = 30, 1.0
    x, y = rows(0, 5000, size)  # many rows beside the noise: nothing is negative, so all of it shows
    found = Statistics.of(clipped(x, radius), y, (1.0, 0.5))
    noisy = found.noisy(1.0, 1e-5, radius, (1.0, 0.5), np.random.default_rng(0))
    sigma = gaussian_sigma(1.0, 1e-5, 3**0.5)
    assert float((noisy.gram - found.gram).std()) == pytest.approx(sigma, rel=0.15)
    assert float((noisy.cross - found.cross).std()) == pytest.approx(sigma, rel=0.25)
    assert (noisy.rows != found.rows).all()
    noisy.check("a")


def test_noise_larger_than_the_statistics_leaves_something_that_rows_can_have() -> None:
    x, y = rows(0, 10, 60)
    found = Statistics.of(clipped(x, 1.0), y, (1.0, 1.0))
    for seed in range(5):
        found.noisy(0.1, 1e-5, 1.0, (1.0, 1.0), np.random.default_rng(seed)).check("a")


def test_other_types_and_tensors_are_refused(tmp_path: Path) -> None:
    found = Statistics.of(*rows(0, 5), (1.0, 1.0))
    arrays = {name: getattr(found, name) for name in ("rows", "weights", "sums", "gram", "cross")}
    for changed, message in (
        ({"gram": found.gram.astype(np.float32)}, "not float64"),
        ({"more": found.sums}, "holds no statistics"),
    ):
        with pytest.raises(FedletheError, match=message):
            Statistics.read(safetensors.numpy.save({**arrays, **changed}), tmp_path / "a")
