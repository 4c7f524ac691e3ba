# SPDX-License-Identifier: MIT
"""The head against a fit to the rows themselves, and what it makes of them without seeing them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.closed_form.ridge import PENALTIES, choose, solve
from fedlethe.closed_form.statistics import Statistics
from fedlethe.errors import FedletheError


def rows(seed: int, count: int, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = generator.normal(0, [1, 10, 0.1, 1, 1], (count, size)) + labels[:, None] * np.array([1, 5, 0, 0, 0])
    return (features + 3).astype(np.float32), labels


def naive(x: np.ndarray, y: np.ndarray, penalty: float, weights: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Weighted ridge on standardised features by least squares on the rows: class-1 answers, and the hat matrix."""
    w = np.asarray(weights)[y]
    x = x.astype(np.float64)
    mean = np.average(x, axis=0, weights=w)
    z = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    root = np.sqrt(w)
    design = np.concatenate([np.ones((len(z), 1)), z], axis=1) * root[:, None]  # the intercept is not shrunk
    system = design.T @ design + w.sum() * penalty * np.diag([0.0] + [1.0] * z.shape[1])
    hat = design @ np.linalg.solve(system, design.T)
    return (hat @ (root * y)) / root, hat


WEIGHTS = (1.9, 0.67)


def test_it_is_weighted_ridge_regression_on_standardised_features() -> None:
    x, y = rows(0, 80)
    head = solve(Statistics.of(x, y, WEIGHTS), penalty=0.3)
    answers, _ = naive(x, y, 0.3, WEIGHTS)
    logits = head.logits(x.astype(np.float64))
    odds = logits[:, 1] - logits[:, 0]
    scale = odds.std() / answers.std()  # the temperature: one number
    np.testing.assert_allclose(odds, scale * 2 * (answers - 0.5) / 2, rtol=1e-9, atol=1e-9 * scale)
    assert scale > 0


def test_the_score_is_that_of_generalised_cross_validation() -> None:
    x, y = rows(1, 70)
    answers, hat = naive(x, y, 0.2, WEIGHTS)
    w = np.asarray(WEIGHTS)[y]
    expected = 2 * np.average((y - answers) ** 2, weights=w) / (1 - np.trace(hat) / 70) ** 2  # both classes' residuals
    assert solve(Statistics.of(x, y, WEIGHTS), 0.2).score == pytest.approx(expected, rel=0.05)  # the trace is estimated


def test_the_penalty_with_the_least_score_is_chosen_and_predicts_best() -> None:
    generator = np.random.default_rng(3)
    y = generator.integers(0, 2, 4120)
    x = (generator.normal(size=(4120, 100)) + 0.2 * y[:, None]).astype(np.float32)
    few = Statistics.of(x[:120], y[:120], (1.0, 1.0))  # hardly more rows than features: little penalty is too little
    penalty, scores = choose(few)
    assert scores[penalty] == min(scores.values())
    assert len(scores) == len(PENALTIES)

    def missed(penalty: float) -> float:
        logits = solve(few, penalty).logits(x[120:].astype(np.float64))
        return float((logits.argmax(axis=1) != y[120:]).mean())

    errors = {candidate: missed(candidate) for candidate in PENALTIES}
    assert errors[penalty] <= min(errors.values()) + 0.03
    assert errors[penalty] < errors[PENALTIES[0]] - 0.03


def test_the_logits_are_calibrated_on_images_that_were_not_trained_on() -> None:
    generator = np.random.default_rng(4)
    y = generator.integers(0, 2, 20_300)
    x = (generator.normal(size=(20_300, 100)) + 0.15 * y[:, None]).astype(np.float32)  # log-odds have slope 1.5 z
    head = solve(Statistics.of(x[:300], y[:300], (1.0, 1.0)), 0.1)  # a third as many features as rows: it overfits
    logits = head.logits(x[300:].astype(np.float64))
    odds = logits[:, 1] - logits[:, 0]

    inside = head.logits(x[:300].astype(np.float64))

    def fitting(odds: np.ndarray, y: np.ndarray) -> float:
        """What the logits would have to be multiplied by."""
        return float(
            min(
                np.geomspace(0.1, 10, 200),
                key=lambda scale: np.logaddexp(0, np.where(y == 1, -scale * odds, scale * odds)).mean(),
            )
        )

    assert 0.7 < fitting(odds, y[300:]) < 1.4
    assert fitting(inside[:, 1] - inside[:, 0], y[:300]) > 1.8  # which its own rows do not show


def test_a_feature_that_never_changes_says_nothing() -> None:
    x, y = rows(0, 40)
    x[:, 2] = 4
    head = solve(Statistics.of(x, y, (1.0, 1.0)), 1.0)
    np.testing.assert_array_equal(head.weight[:, 2], 0)
    assert np.isfinite(head.weight).all()


def test_more_classes_than_two() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (generator.normal(0, 0.3, (300, 4)) + np.eye(4)[y]).astype(np.float32)
    head = solve(Statistics.of(x, y, (1.0, 1.0, 1.0)), 1.0)
    assert float(((x @ head.weight.T + head.bias).argmax(axis=1) == y).mean()) > 0.95


def test_one_class_alone_is_refused() -> None:
    x, _ = rows(0, 20)
    with pytest.raises(FedletheError, match="one class only"):
        solve(Statistics.of(x, np.zeros(20, np.int64), (1.0, 1.0)), 1.0)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), penalty=st.floats(0.01, 1))
def test_errors_in_the_moments_move_the_head_by_no_more_than_its_sensitivity_says(seed: int, penalty: float) -> None:
    found = Statistics.of(*rows(seed, 40), (1.0, 1.0))
    generator = np.random.default_rng(seed)
    errors = 1e-6 * found.diagonal()
    entries = [np.sqrt(errors[i] * errors[i:]) for i in range(5)]
    gram = found.gram + np.concatenate(entries) * generator.choice([-1, 1], 15)
    moved, head = solve(replace(found, gram=gram), penalty), solve(found, penalty)
    raw, other = (one.weight / np.linalg.norm(one.weight) for one in (moved, head))
    assert np.linalg.norm(raw - other) <= 2 * errors @ head.sensitivity
