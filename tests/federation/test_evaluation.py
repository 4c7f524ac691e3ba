# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.federation.evaluation import metrics, pooled


def test_numbers_by_hand() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.4, 0.6]])
    result = metrics(labels, probabilities)
    assert result.num_examples == 4
    assert result.accuracy == 3 / 4
    assert result.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert result.auc == pytest.approx((1 + 0.5 + 1) / 3)  # the positive beats two negatives and ties with one


def test_one_class_has_no_auc() -> None:
    assert metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.9, 0.1]])).auc is None


def test_answers_that_are_not_finite_are_wrong_and_undecided() -> None:
    result = metrics(np.array([0, 1]), np.full((2, 2), np.nan))
    assert (result.accuracy, result.balanced_accuracy, result.auc) == (0.0, 0.0, 0.5)


def test_several_classes_are_one_against_the_rest() -> None:
    labels = np.array([0, 1, 2])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.1, 0.3, 0.6]])
    # class 0: perfect, 1; class 1: 0.2 against 0.1 and 0.3, 1/2; class 2: 0.6 against 0.1 and 0.7, 1/2
    assert metrics(labels, probabilities).auc == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_the_pooled_auc_is_not_the_mean_of_the_clients() -> None:
    labels = {"a": np.array([0, 1]), "b": np.array([0, 1])}
    scores = {"a": np.array([[0.9, 0.1], [0.8, 0.2]]), "b": np.array([[0.3, 0.7], [0.1, 0.9]])}
    result = pooled(labels, scores)
    assert [held.auc for held in result.clients.values()] == [1.0, 1.0]
    assert result.overall.auc == 0.75
    assert result.overall.num_examples == 4
