# SPDX-License-Identifier: MIT
"""The head against a fit to the rows themselves, and after clients have come and gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.exact.ridge import solve
from fedlethe.exact.statistics import Statistics, total


def rows(seed: int, count: int, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = generator.normal(0, [1, 10, 0.1, 1, 1], (count, size)) + labels[:, None] * np.array([1, 5, 0, 0, 0])
    return (features + 3).astype(np.float32), labels


def test_it_is_ridge_regression_on_standardised_features() -> None:
    x, y = rows(0, 80)
    head = solve(Statistics.of(x, y, (1.0, 1.0)), penalty=7.0)
    z = (x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
    targets = np.eye(2)[y] - 0.5
    naive = np.linalg.lstsq(
        np.concatenate([z, np.sqrt(7.0) * np.eye(5)]), np.concatenate([targets, np.zeros((5, 2))]), rcond=None
    )[0]
    scores = z @ naive[:, 1]
    answers = x @ head.weight.T + head.bias
    odds = answers[:, 1] - answers[:, 0]
    assert np.corrcoef(scores, odds)[0, 1] == pytest.approx(1, abs=1e-12)
    # The log-odds are those of two Gaussians with the scores' means and common variance.
    means = [scores[y == label].mean() for label in (0, 1)]
    variance = np.mean([(scores[y == label] - means[label]) ** 2 for label in (0, 1)])
    expected = (means[1] - means[0]) / variance * (scores - (means[0] + means[1]) / 2)
    np.testing.assert_allclose(odds, expected, rtol=1e-9, atol=1e-9)


def test_classes_are_as_likely_as_they_are_or_equally() -> None:
    x, y = rows(0, 90)
    keep = (y == 0) | (np.arange(90) < 30)
    statistics = Statistics.of(x[keep], y[keep], (1.0, 1.0))
    usual, balanced = solve(statistics, 1.0), solve(statistics, 1.0, balanced=True)
    np.testing.assert_array_equal(usual.weight, balanced.weight)
    share = (y[keep] == 1).mean()
    moved = (usual.bias[1] - usual.bias[0]) - (balanced.bias[1] - balanced.bias[0])
    assert moved == pytest.approx(np.log(share / (1 - share)))


def test_a_feature_that_never_changes_says_nothing() -> None:
    x, y = rows(0, 40)
    x[:, 2] = 4
    head = solve(Statistics.of(x, y, (1.0, 1.0)), 1.0)
    np.testing.assert_array_equal(head.weight[:, 2], 0)
    assert np.isfinite(head.weight).all()


@settings(max_examples=25)
@given(moves=st.lists(st.integers(0, 7), min_size=50, max_size=50))
def test_after_fifty_joins_and_erasures_it_is_a_fit_from_scratch(moves: list[int]) -> None:
    parts = [Statistics.of(*rows(seed, 12 + seed), (1.0, 1.0)) for seed in range(8)]
    there, held = {0}, parts[0]
    for client in moves:
        if client not in there:
            there.add(client)
            held = held + parts[client]
        elif len(there) > 1:
            there.remove(client)
            held = held - parts[client]
    scratch = solve(total([parts[client] for client in sorted(there)]), 1.0)
    found = solve(held, 1.0)
    assert np.linalg.norm(found.weight - scratch.weight) <= 1e-8 * np.linalg.norm(scratch.weight)
    assert np.abs(found.bias - scratch.bias).max() <= 1e-8 * np.abs(scratch.bias).max()


def test_more_classes_than_two() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (generator.normal(0, 0.3, (300, 4)) + np.eye(4)[y]).astype(np.float32)
    head = solve(Statistics.of(x, y, (1.0, 1.0, 1.0)), 1.0)
    assert float(((x @ head.weight.T + head.bias).argmax(axis=1) == y).mean()) > 0.95
    assert head.condition >= 1
