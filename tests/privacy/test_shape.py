# SPDX-License-Identifier: MIT
"""The shaped mask's covariance: feasible, certified, and against what else there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.privacy.accounting import Array
from fedlethe.privacy.shape import LEAST_CURVATURE, cheapest


def problem(count: int, seed: int, stretch: float = 1.0) -> tuple[Array, Array]:
    """Candidates in count - 1 dimensions, and a curvature."""
    generator = np.random.default_rng(seed)
    size = count - 1
    coordinates = generator.standard_normal((count, size)) * np.geomspace(1, stretch, size)
    root = generator.standard_normal((size, size)) * np.geomspace(1, 0.1, size)
    return coordinates - coordinates.mean(axis=0), root.T @ root


def regularised(curvature: Array) -> Array:
    size = len(curvature)
    ridge: Array = curvature + LEAST_CURVATURE * np.trace(curvature) / size * np.eye(size)
    return ridge


def separations(coordinates: Array, covariance: Array) -> Array:
    """The mu of every pair, by a solve for each."""
    found = []
    for i in range(len(coordinates)):
        for j in range(i):
            apart = coordinates[i] - coordinates[j]
            found.append(np.sqrt(apart @ np.linalg.solve(covariance, apart)))
    return np.array(found)


instances = st.builds(problem, st.integers(2, 9), st.integers(0, 10_000), st.sampled_from([1.0, 0.1, 0.01]))


@settings(max_examples=40)
@given(instance=instances, mu=st.floats(0.05, 5.0), steps=st.sampled_from([1, 3, 20_000]))
def test_all_pairs_are_hidden_however_early_it_stops(instance: tuple[Array, Array], mu: float, steps: int) -> None:
    coordinates, curvature = instance
    shape = cheapest(coordinates, curvature, mu, steps=steps)
    assert separations(coordinates, shape.covariance).max() <= mu * (1 + 1e-6)
    widest = max(np.linalg.norm(a - b) for a in coordinates for b in coordinates)
    assert shape.equal_cost == pytest.approx(np.trace(curvature) * (widest / mu) ** 2, rel=1e-9)
    assert shape.cost == pytest.approx(np.trace(curvature @ shape.covariance), rel=1e-9)
    assert shape.cost <= shape.equal_cost


@settings(max_examples=40)
@given(instance=instances, seed=st.integers(0, 1000))
def test_no_other_covariance_that_hides_as_well_costs_less(instance: tuple[Array, Array], seed: int) -> None:
    coordinates, curvature = instance
    ridge = regularised(curvature)
    shape = cheapest(coordinates, curvature, 1.0)
    assert shape.gap <= 1e-4
    cost, generator = np.trace(ridge @ shape.covariance), np.random.default_rng(seed)
    size = len(ridge)
    for spread in (0.01, 0.1, 1.0):
        change = np.eye(size) + spread * generator.standard_normal((size, size))
        for covariance in (change @ shape.covariance @ change.T, change @ change.T):
            tight = covariance * separations(coordinates, covariance).max() ** 2  # as little as hides all pairs
            assert np.trace(ridge @ tight) >= cost * (1 - 1.1e-4)


def test_the_optimum_of_three_candidates_by_exhaustion() -> None:
    coordinates, curvature = problem(3, 5)
    ridge = regularised(curvature)
    angles, ratios = np.linspace(0, np.pi, 721), np.geomspace(1e-3, 1e3, 601)
    first = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # the axes of the ellipse, lengths 1 and ratio
    second = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    apart = coordinates[[1, 2, 2]] - coordinates[[0, 0, 1]]
    along, across = (first @ apart.T) ** 2, (second @ apart.T) ** 2  # (angles, pairs)
    worst = (along[:, None, :] + across[:, None, :] / ratios[None, :, None]).max(axis=2)  # (angles, ratios)
    costs = [np.einsum("ai,ij,aj->a", axis, ridge, axis) for axis in (first, second)]
    best = float(((costs[0][:, None] + costs[1][:, None] * ratios) * worst).min())
    assert np.trace(ridge @ cheapest(coordinates, curvature, 1.0).covariance) == pytest.approx(best, rel=1e-3)


def test_two_candidates_leave_nothing_to_shape() -> None:
    shape = cheapest(np.array([[1.0], [-1.0]]), np.array([[3.0]]), 0.5)
    np.testing.assert_allclose(shape.covariance, [[16.0]], rtol=1e-12)  # (2 / 0.5)^2
    assert shape.cost == pytest.approx(shape.equal_cost) == pytest.approx(48.0)


def test_a_square_by_hand() -> None:
    """Pairs (2, 0), (0, 2) and (2, 2) apart; a diagonal S needs 4 / a + 4 / b <= 1; H = diag(9, 1): a : b = 1 : 3."""
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    shape = cheapest(square, np.diag([9.0, 1.0]), 1.0, gap=1e-9)
    np.testing.assert_allclose(shape.covariance, np.diag([16 / 3, 16.0]), rtol=2e-3, atol=1e-6)
    assert shape.cost == pytest.approx(64.0, rel=2e-3)
    assert shape.equal_cost == pytest.approx(80.0)


def test_flat_directions_get_noise_that_is_finite() -> None:
    coordinates, _ = problem(4, 1)
    shape = cheapest(coordinates, np.diag([1.0, 0.0, 0.0]), 1.0)
    assert np.isfinite(shape.covariance).all()
    assert separations(coordinates, shape.covariance).max() <= 1 + 1e-6
    flat = cheapest(coordinates, np.zeros((3, 3)), 1.0)
    assert flat.cost == flat.equal_cost == 0.0


def test_candidates_that_coincide_in_part_are_hidden_as_the_others_are() -> None:
    coordinates = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])
    shape = cheapest(coordinates, np.diag([1.0, 4.0]), 0.5)
    assert separations(coordinates, shape.covariance).max() <= 0.5 * (1 + 1e-6)
