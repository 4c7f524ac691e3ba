# SPDX-License-Identifier: MIT
"""The AUC: by counting pairs, and as scikit-learn has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fedlethe.ranking import auc

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
