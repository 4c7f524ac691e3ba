# SPDX-License-Identifier: MIT
"""Sums by class: against the rows, added and subtracted, on disk, and with noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.sent import noise_of
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.statistics import Statistics, clipped
from fedlethe.errors import FedletheError
from fedlethe.privacy.accounting import gaussian_delta, gaussian_sigma
from fedlethe.privacy.noise import SecretNoise


def rows(seed: int, count: int, size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(1, 1, (count, size)).astype(np.float32), generator.integers(0, 2, count)


def same(one: ByClass, other: ByClass) -> None:
    for name in ("rows", "sums", "gram"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-9)


def test_they_are_the_sums_that_they_are_said_to_be() -> None:
    x, y = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([0, 1, 1])
    found = ByClass.of(x, y, 3)
    np.testing.assert_array_equal(found.rows, [1, 2, 0])
    np.testing.assert_array_equal(found.sums, [[1, 2], [8, 10], [0, 0]])
    np.testing.assert_array_equal(found.gram, [[1, 2, 4], [34, 42, 52], [0, 0, 0]])
    np.testing.assert_array_equal(found.diagonals(), [[1, 4], [34, 52], [0, 0]])
    assert (found.count, found.size) == (3, 2)


@given(seed=st.integers(0, 1000), count=st.integers(1, 30), first=st.floats(0.1, 1e6))
def test_any_weights_can_be_laid_over_them(seed: int, count: int, first: float) -> None:
    x, y = rows(seed, count)
    one, other = ByClass.of(x, y, 2).weighted((first, 0.5)), Statistics.of(x, y, (first, 0.5))
    for name in ("rows", "weights", "sums", "gram", "cross"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9 * first)


@given(seed=st.integers(0, 1000), first=st.integers(0, 30), second=st.integers(1, 30))
def test_parts_add_up_and_subtract(seed: int, first: int, second: int) -> None:
    x, y = rows(seed, first + second)
    one, other = (ByClass.of(x[part], y[part], 2) for part in (slice(first), slice(first, None)))
    whole = ByClass.of(x, y, 2)
    same(total([one, other]), whole)
    same(whole - other, one)
    whole.check("a")


def test_the_file_is_the_upper_triangles_and_comes_back_whole(tmp_path: Path) -> None:
    found = ByClass.of(*rows(0, 50, size=100), 2)
    content = found.content()
    assert len(content) < 8 * 2 * (100 * 101 / 2 + 101) + 1000
    same(ByClass.read(content, tmp_path / "a"), found)
    arrays = {name: getattr(found, name) for name in ("rows", "sums", "gram")}
    for changed, message in (
        ({"gram": found.gram.astype(np.float32)}, "not float64"),
        ({"cross": found.sums}, "train again"),
    ):
        with pytest.raises(FedletheError, match=message):
            ByClass.read(safetensors.numpy.save({**arrays, **changed}), tmp_path / "a")


def test_what_no_rows_can_have_is_refused() -> None:
    good = ByClass.of(*rows(0, 30), 2)
    empty = ByClass.of(*rows(0, 30), 3)
    for bad, message in (
        (replace(good, sums=good.sums * np.nan), "a: the statistics hold NaN"),
        (replace(good, rows=good.rows + 0.5), "rows"),
        (replace(good, gram=-good.gram), "not positive semi-definite"),
        (replace(good, sums=good.sums[:1]), "shapes"),
        (replace(good, gram=good.gram[:, :-1]), "shapes"),
        (replace(empty, gram=empty.gram + np.array([[0], [0], [1e-9]])), "class without rows"),
    ):
        with pytest.raises(FedletheError, match=message):
            bad.check("a")


@given(seed=st.integers(0, 1000), label=st.integers(0, 2), radius=st.floats(0.1, 3))
def test_one_row_moves_what_noise_is_added_to_by_no_more_than_it_is_made_for(
    seed: int, label: int, radius: float
) -> None:
    x, _ = rows(seed, 1, size=6)
    one = ByClass.of(clipped(10 * x, radius), np.array([label]), 3)
    moved = np.concatenate([one.gram.ravel(), one.sums.ravel(), one.rows])
    assert np.linalg.norm(moved) <= (radius**4 + radius**2 + 1) ** 0.5 + 1e-5


def test_an_attacker_who_knows_all_but_one_row_gains_no_more_than_epsilon() -> None:
    """The best attack on a Gaussian: which of two neighbours, along their difference; asked 1, measured <= 1."""
    epsilon, delta, size = 1.0, 1e-2, 3
    x = clipped(np.random.default_rng(1).normal(0, 1, (4001, size)).astype(np.float32) * 5, 1.0)
    y = np.arange(4001) % 2
    whole, less = ByClass.of(x, y, 2), ByClass.of(x[:-1], y[:-1], 2)  # many rows: no moments have to be mended

    def flat(held: ByClass) -> np.ndarray:
        return np.concatenate([held.gram.ravel(), held.sums.ravel()])

    direction = flat(whole) - flat(less)
    distance = np.linalg.norm(direction)
    noise = noise_of(ClosedFormSettings(epsilon=epsilon), "a")
    seen = [
        np.array([flat(held.noisy(epsilon, delta, 1.0, noise)) @ direction / distance for _ in range(3000)])
        for held in (whole, less)
    ]
    mu = (seen[0].mean() - seen[1].mean()) / np.concatenate([one - one.mean() for one in seen]).std()
    assert gaussian_delta(epsilon, 1 / (mu + 0.1)) <= 2 * delta
    assert mu <= 1 / gaussian_sigma(epsilon, delta) + 0.08
    for threshold in np.linspace(-2, 2, 9) * seen[1].std() + seen[1].mean():
        one, other = ((held > threshold).mean() for held in seen)
        assert one <= np.exp(epsilon) * other + delta + 0.04


def test_noise_larger_than_the_statistics_leaves_something_that_rows_can_have() -> None:
    x, y = rows(0, 10, 60)
    found = ByClass.of(clipped(x, 1.0), y, 2)
    for key in range(5):
        found.noisy(0.1, 1e-5, 1.0, SecretNoise(bytes(32), key)).check("a")


def test_noise_is_of_the_operating_system_unless_a_seed_is_asked_for() -> None:
    free, seeded = ClosedFormSettings(epsilon=1.0), ClosedFormSettings(epsilon=1.0, noise_seed=3)
    assert (noise_of(free, "a").standard_normal(9) != noise_of(free, "a").standard_normal(9)).all()
    np.testing.assert_array_equal(noise_of(seeded, "a").standard_normal(9), noise_of(seeded, "a").standard_normal(9))
