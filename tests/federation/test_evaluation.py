# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.federation.evaluation import metrics, pooled
from fedlethe.ranking import auc_interval


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


def test_the_other_figures_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.35, 0.65], [0.72, 0.28], [0.15, 0.85], [0.35, 0.65]])
    result = metrics(labels, probabilities)
    assert result.confusion == ((2, 1), (0, 2))
    assert result.sensitivity == 1.0
    assert result.specificity == pytest.approx(2 / 3)
    assert result.commonest == 3 / 5
    # Bins of a tenth: .9 alone and right; .85 alone and right; .72 alone and right; two of .65, of which one is right.
    assert result.calibration == pytest.approx((0.1 + 0.15 + 0.28 + abs(1.3 - 1)) / 5)
    assert result.auc_interval == auc_interval(np.array([0.85, 0.65]), np.array([0.1, 0.65, 0.28]))


def test_figures_that_are_not_defined_are_none() -> None:
    one = metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.9, 0.1]]))
    assert (one.sensitivity, one.specificity, one.auc_interval) == (0.5, None, None)
    three = metrics(np.array([0, 1, 2]), np.eye(3))
    assert (three.sensitivity, three.specificity) == (None, None)
    assert (three.auc, three.auc_interval) == (1.0, (0.0, 1.0))  # of one image of each class nothing is known
    lost = metrics(np.array([0, 1]), np.full((2, 2), np.nan))
    assert lost.confusion == ((0, 0), (0, 0))


def test_the_retained_are_pooled_without_the_erased() -> None:
    labels = {"a": np.array([0, 1]), "b": np.array([0, 1])}
    scores = {"a": np.array([[0.9, 0.1], [0.8, 0.2]]), "b": np.array([[0.3, 0.7], [0.1, 0.9]])}
    assert pooled(labels, scores).retained is None
    assert pooled(labels, scores, ["a"]).retained == metrics(labels["b"], scores["b"])
    assert pooled(labels, scores, ["a", "b"]).retained is None
    assert pooled(labels, scores, ["somebody"]).retained == pooled(labels, scores).overall
