# SPDX-License-Identifier: MIT
"""The AUC: by counting pairs, and as scikit-learn has it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fedlethe.ranking import _student, auc, auc_interval

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30).map(np.array)


@given(positive=scores, negative=scores)
def test_it_counts_pairs(positive: np.ndarray, negative: np.ndarray) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc(positive, negative) == sum(pairs) / len(pairs)
    assert auc(negative, positive) == pytest.approx(1 - auc(positive, negative))


@given(positive=scores, negative=scores)
def test_it_is_the_area_under_the_roc_curve(positive: np.ndarray, negative: np.ndarray) -> None:
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, np.concatenate([positive, negative])))


def test_the_interval_has_the_published_variance() -> None:
    """DeLong's variance by its definition, over all pairs, without ties."""
    generator = np.random.default_rng(1)
    positive, negative = generator.normal(1, 1, 30), generator.normal(0, 1, 50)
    above = (positive[:, None] > negative).astype(float)
    variance = above.mean(axis=1).var(ddof=1) / 30 + above.mean(axis=0).var(ddof=1) / 50
    low, high = (np.log(bound / (1 - bound)) for bound in auc_interval(positive, negative))
    area = auc(positive, negative)
    half = (high - low) / 2 * area * (1 - area)
    assert (low + high) / 2 == pytest.approx(np.log(area / (1 - area)))
    assert 1.96 * variance**0.5 < half < 2.05 * variance**0.5  # Student's t of some 60 degrees of freedom


@pytest.mark.parametrize(
    ("n", "m", "apart"), [(10, 40, 1.0), (50, 50, 1.0), (100, 30, 2.0), (5, 50, 1.5), (10, 10, 0.0)]
)
def test_the_interval_holds_the_truth_in_about_95_of_100_draws(n: int, m: int, apart: float) -> None:
    generator = np.random.default_rng(0)
    truth = NormalDist().cdf(apart / 2**0.5)
    drawn = [auc_interval(generator.normal(apart, 1, n), generator.normal(0, 1, m)) for _ in range(1000)]
    held = float(np.mean([low <= truth <= high for low, high in drawn]))
    assert 0.92 <= held <= 0.995


@given(positive=scores, negative=scores)
def test_the_interval_holds_the_auc_and_lies_within_0_and_1(positive: np.ndarray, negative: np.ndarray) -> None:
    low, high = auc_interval(positive, negative)
    assert 0 <= low <= auc(positive, negative) <= high <= 1
    assert low < high
    assert auc_interval(negative, positive) == pytest.approx((1 - high, 1 - low))


def test_groups_that_lie_apart_are_no_proof_of_a_perfect_ranking() -> None:
    low, high = auc_interval(np.arange(10, 15.0), np.arange(5.0))
    assert low == pytest.approx(0.025 ** (1 / 5))
    assert high == 1.0


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042)])
def test_students_quantiles_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert _student(freedom) == pytest.approx(quantile, rel=2e-3)
