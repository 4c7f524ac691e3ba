# SPDX-License-Identifier: MIT
"""Scores to figures: by hand, and against naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.audit.scores import bootstrap, confidence, divergence, tpr_at_fpr
from fedlethe.ranking import auc

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30).map(np.array)


@given(positive=scores, negative=scores, fpr=st.floats(0, 1))
def test_the_rate_is_the_best_of_all_thresholds(positive: np.ndarray, negative: np.ndarray, fpr: float) -> None:
    thresholds = [-math.inf, *positive, *negative]
    rates = [(positive > t).mean() for t in thresholds if (negative > t).mean() <= fpr + 1e-9]
    assert tpr_at_fpr(positive, negative, fpr) == pytest.approx(max(rates))


def test_rates_by_hand() -> None:
    negative = np.arange(1000.0)
    assert tpr_at_fpr(np.array([999.5, 998.5, 0.0]), negative, 0.001) == pytest.approx(2 / 3)
    assert tpr_at_fpr(np.array([999.5, 998.5, 0.0]), negative, 0.0) == pytest.approx(1 / 3)
    assert tpr_at_fpr(np.array([-1.0]), negative, 1.0) == 1.0


def test_an_interval_holds_the_figure_and_narrows() -> None:
    generator = np.random.default_rng(3)
    widths = []
    for count in (50, 5000):
        positive, negative = generator.normal(1, 1, count), generator.normal(0, 1, count)
        low, high = bootstrap(auc, positive, negative, np.random.default_rng(0))
        assert low < auc(positive, negative) < high
        assert low < 0.760 < high  # Phi(1 / sqrt 2)
        widths.append(high - low)
    assert widths[1] < widths[0] / 5  # sqrt 100 = 10, give or take
    assert bootstrap(auc, positive, negative, np.random.default_rng(0)) == (low, high)


def test_divergence_by_hand() -> None:
    same = np.log([[0.2, 0.8], [0.5, 0.5]])
    assert divergence(same, same) == pytest.approx(0, abs=1e-12)
    one, other = np.array([[0.0, -700.0]]), np.array([[-700.0, 0.0]])
    assert divergence(one, other) == pytest.approx(math.log(2))
    p, q = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    by_hand = 0.5 * (0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3)) + 0.5 * (
        0.9 * math.log(0.9 / 0.7) + 0.1 * math.log(0.1 / 0.3)
    )
    assert divergence(p, q) == pytest.approx(by_hand)
    assert divergence(q, p) == pytest.approx(by_hand)


def test_confidence_is_the_log_odds_of_the_right_class() -> None:
    answers = np.log([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    labels = np.array([0, 2])
    before = answers.copy()
    np.testing.assert_allclose(confidence(answers, labels), [math.log(0.7 / 0.3), math.log(0.1 / 0.9)])
    np.testing.assert_array_equal(answers, before)
