# SPDX-License-Identifier: MIT
"""The who-left attackers, by hand and against naive counts."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from fedlethe.audit.attackers import Success, clopper_pearson, full_knowledge, guesses, outsider, server_view


def tail(hits: int, trials: int, p: float) -> float:
    """P(X >= hits), exactly."""
    share = Fraction(p)
    return float(sum(comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits, trials + 1)))


@pytest.mark.parametrize(("hits", "trials"), [(1, 10), (5, 10), (9, 10), (17, 60), (60, 200)])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_the_interval_ends_where_the_tails_do(hits: int, trials: int, level: float) -> None:
    low, high = clopper_pearson(hits, trials, level)
    assert low < hits / trials < high
    assert tail(hits, trials, low) == pytest.approx((1 - level) / 2, rel=1e-6)
    assert 1 - tail(hits + 1, trials, high) == pytest.approx((1 - level) / 2, rel=1e-6)


def test_the_interval_at_the_ends() -> None:
    assert clopper_pearson(0, 5, 0.95)[0] == 0.0
    assert clopper_pearson(5, 5, 0.95)[1] == 1.0
    assert clopper_pearson(5, 5, 0.95)[0] == pytest.approx(0.025 ** (1 / 5))
    low, high = clopper_pearson(20_000, 40_000)
    assert (low, high) == pytest.approx((0.4936, 0.5064), abs=1e-4)


def test_success_counts_what_is_right() -> None:
    success = Success.of(np.array([True, False, True, True]))
    assert (success.hits, success.trials, success.rate) == (3, 4, 0.75)
    assert success.low < 0.75 < success.high


def test_the_server_takes_the_direction_of_the_change() -> None:
    influences = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])  # the last client put nothing in
    scores = server_view(np.array([[0.1, 0.2], [-3.0, 0.0], [0.0, 0.0]]), influences)
    np.testing.assert_allclose(scores[0], [1 / np.sqrt(5), 2 / np.sqrt(5), 0.0])
    np.testing.assert_allclose(scores[1], [-1.0, 0.0, 0.0])
    np.testing.assert_array_equal(scores[2], [0.0, 0.0, 0.0])


def test_the_outsider_takes_the_largest_rise() -> None:
    scores = outsider(np.array([0.5, 0.1]), np.array([[0.6, 0.4], [0.5, 0.0]]))
    np.testing.assert_allclose(scores, [[0.1, 0.3], [0.0, -0.1]])


def test_full_knowledge_weighs_distances_by_the_noise() -> None:
    candidates = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    seen = np.array([[1.0, 1.0]])
    np.testing.assert_allclose(full_knowledge(seen, candidates), [[-1.0, -2.5, -0.5]])
    wide = np.diag([10.0, 0.1])  # of the noise: the second axis tells more
    np.testing.assert_allclose(full_knowledge(seen, candidates, wide), [[-50.005, -50.02, -0.005]])
    leaning = np.array([[1.0, 0.0], [1.0, 1.0]])  # L with L L' = [[1, 1], [1, 2]]
    np.testing.assert_allclose(full_knowledge(seen, candidates, leaning), [[-0.5, -6.5, -1.0]])


def test_where_candidates_have_no_dimension_all_are_as_likely() -> None:
    np.testing.assert_array_equal(full_knowledge(np.zeros((2, 0)), np.zeros((3, 0))), np.zeros((2, 3)))


def test_the_guess_is_the_best_and_a_tie_is_broken_evenly() -> None:
    generator = np.random.default_rng(0)
    assert guesses(np.array([[0.0, 2.0, 1.0], [5.0, -1.0, 5.0 - 1e-9]]), generator).tolist() == [1, 0]
    tied = guesses(np.tile([1.0, 3.0, 3.0, -np.inf], (6000, 1)), generator)
    assert set(tied.tolist()) == {1, 2}
    assert abs((tied == 1).mean() - 0.5) < 0.03
    nothing = guesses(np.full((6000, 3), np.nan), generator)
    assert np.abs(np.bincount(nothing, minlength=3) / 6000 - 1 / 3).max() < 0.03


def test_a_score_that_is_no_number_is_never_the_guess() -> None:
    assert guesses(np.array([[np.nan, -4.0, -np.inf]]), np.random.default_rng(0)).tolist() == [1]
