# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.choices import decide
from fedlethe.closed_form.ridge import PENALTIES, choose, solve
from fedlethe.closed_form.settings import ClosedFormSettings


def sums(counts: tuple[int, ...], seed: int = 0) -> ByClass:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = generator.standard_normal((len(labels), 3)) + labels[:, None]
    return ByClass.of(features.astype(np.float32), labels.astype(np.int64), len(counts))


def test_classes_are_balanced_by_their_counts_to_two_digits() -> None:
    # 40 rows of 3 classes: 40 / (3 x 7) = 1.905, 40 / (3 x 30) = 0.444, 40 / (3 x 3) = 4.444.
    assert decide(sums((7, 30, 3)), ClosedFormSettings()).class_weights == (1.9, 0.44, 4.4)


def test_a_class_without_rows_is_weighed_as_if_it_had_one() -> None:
    assert decide(sums((4, 4, 0)), ClosedFormSettings()).class_weights == (0.67, 0.67, 2.7)  # 8 / (3 x 1)


def test_the_penalty_is_the_one_of_least_score_under_the_weights() -> None:
    held = sums((30, 10))
    chosen = decide(held, ClosedFormSettings())
    scores = {penalty: solve(held.weighted(chosen.class_weights), penalty).score for penalty in PENALTIES}
    assert dict(chosen.scores) == scores
    assert chosen.penalty == min(scores, key=lambda penalty: scores[penalty])
    assert dict(chosen.scores) != choose(held.weighted((1.0, 1.0)))[1]  # the weights matter to the scores


def test_what_the_user_fixed_stays() -> None:
    held = sums((30, 10))
    fixed = decide(held, ClosedFormSettings(penalty=0.25, class_weights=(1.0, 7.0)))
    assert (fixed.penalty, fixed.class_weights, dict(fixed.scores)) == (0.25, (1.0, 7.0), {})
    weighed = decide(held, ClosedFormSettings(class_weights=(1.0, 7.0)))
    assert (weighed.penalty, weighed.class_weights) == (choose(held.weighted((1.0, 7.0)))[0], (1.0, 7.0))


@pytest.mark.parametrize("settings", [ClosedFormSettings(), ClosedFormSettings(penalty=0.1)])
def test_choices_after_somebody_left_are_those_of_who_is_there(settings: ClosedFormSettings) -> None:
    first, second = sums((30, 10)), sums((2, 25), seed=1)
    left, alone = decide(first + second - second, settings), decide(first, settings)
    assert (left.class_weights, left.penalty) == (alone.class_weights, alone.penalty)
    assert decide(first + second, settings).class_weights != alone.class_weights
