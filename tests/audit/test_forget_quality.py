# SPDX-License-Identifier: MIT
"""Privacy degrees by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fedlethe.audit import Answers
from fedlethe.audit.forget_quality import ForgetQuality, privacy_degrees
from fedlethe.audit.judging import judge
from tests.audit.answering import answers, evidence, log_probabilities, task


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_degrees_by_hand() -> None:
    assert privacy_degrees(column(0, 1), column(2, 3), 0.0) == [math.inf]
    assert privacy_degrees(column(2, 3), column(0, 1), 0.0) == [math.inf]
    assert privacy_degrees(column(0, 2), column(1, 3), 0.0) == [0.0]  # thresholds: errors of one kind, or a coin's
    # Between 0 and 3 one of four is wrong on either side: log(3/4) - log(1/4); others discarded or weaker.
    degree = privacy_degrees(column(0, 0, 0, 2), column(1, 3, 3, 3), 0.0)
    assert degree == pytest.approx([math.log(3)])
    assert privacy_degrees(column(0, 0, 0, 2), column(1, 3, 3, 3), 0.1) == pytest.approx([math.log(0.65 / 0.25)])


def test_images_are_binned_and_averaged() -> None:
    unlearned = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, 2.0]])
    retrained = np.array([[2.0, 1.0], [3.0, 3.0], [3.0, 3.0], [3.0, 3.0]])
    # Infinity is in the last of 13 bins, log 3 in [1, 1.5), the third.
    assert ForgetQuality(delta=0.0).score(unlearned, retrained) == pytest.approx((2 / 2**13 + 2 / 2**3) / 2)
    same = np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])
    assert ForgetQuality().score(*same) == 1.0


def model(seed: int, memorised: float) -> Answers:
    phi = np.random.default_rng(seed).normal(memorised, 1, 200)
    return answers(forgotten=log_probabilities(phi, [0] * 200))


@pytest.mark.parametrize(("memorised", "verdict"), [(0.0, "gone"), (2.5, "still there")])
def test_the_verdict_is_against_retrainings_among_themselves(memorised: float, verdict: str) -> None:
    candidates = [model(seed, memorised) for seed in range(5)]
    untouched, references = [model(50 + n, 2.5) for n in range(5)], [model(90 + n, 0.0) for n in range(10)]
    of = task(forgotten=[0] * 200)
    assert judge("forget_quality", ForgetQuality(), evidence(of, candidates, untouched, references)).verdict == verdict


def test_too_few_models_are_said() -> None:
    few = [model(seed, 0.0) for seed in range(7)]
    statement = ForgetQuality().measure(evidence(task(forgotten=[0] * 200), few, few, few))
    assert statement == "it takes 4 models and 8 retrainings, there are 7 and 7"
