# SPDX-License-Identifier: MIT
"""What the steps descend, by hand: two classes, logits whose softmax is 3/4 and 1/4."""

from __future__ import annotations

import math

import pytest
import torch

from fedlethe.federation.objective import (
    Ascent,
    Ball,
    CrossEntropy,
    Distillation,
    GivenLoss,
    LoweredLogit,
    Objective,
    UnlearningCrossEntropy,
    logits_of,
)

LOGITS = torch.tensor([[math.log(3), 0.0]])
ZERO, ONE = torch.tensor([0]), torch.tensor([1])
MODEL = torch.zeros(2)


def test_ascent_is_cross_entropy_with_the_sign_turned() -> None:
    assert float(CrossEntropy().loss(LOGITS, ZERO, None)) == pytest.approx(math.log(4 / 3))
    assert float(Ascent(Ball(MODEL, 1.0)).loss(LOGITS, ZERO, None)) == pytest.approx(-math.log(4 / 3))


def test_unlearning_cross_entropy_is_bounded_and_least_where_the_class_is_ruled_out() -> None:
    assert float(UnlearningCrossEntropy().loss(LOGITS, ZERO, None)) == pytest.approx(-math.log(1 - 0.375))
    assert float(UnlearningCrossEntropy().loss(torch.tensor([[1e4, 0.0]]), ZERO, None)) == pytest.approx(math.log(2))
    assert float(UnlearningCrossEntropy().loss(torch.tensor([[1e4, 0.0]]), ONE, None)) == 0.0
    both = UnlearningCrossEntropy().loss(LOGITS.repeat(2, 1), torch.tensor([0, 1]), None)
    assert float(both) == pytest.approx((-math.log(1 - 0.375) - math.log(1 - 0.125)) / 2)


def test_distillation_is_a_divergence_at_a_temperature() -> None:
    teacher = torch.tensor([[0.0, 0.0]])
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)  # KL(1/2, 1/2 || 3/4, 1/4)
    assert float(Distillation(MODEL).loss(LOGITS, ZERO, teacher)) == pytest.approx(expected)
    assert float(Distillation(MODEL).loss(LOGITS, ONE, teacher)) == pytest.approx(expected)  # no label
    assert float(Distillation(MODEL, 2.0).loss(2 * LOGITS, ZERO, teacher)) == pytest.approx(4 * expected)
    assert float(Distillation(MODEL).loss(LOGITS, ZERO, LOGITS)) == pytest.approx(0, abs=1e-7)


def test_the_teacher_does_not_know_the_right_class() -> None:
    teacher, knows_nothing = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 1.0, 2.0]])
    assert float(LoweredLogit(MODEL).loss(knows_nothing, ZERO, teacher)) == pytest.approx(0, abs=1e-6)
    assert float(LoweredLogit(MODEL).loss(teacher, ZERO, teacher)) > 0.4
    assert float(LoweredLogit(MODEL).loss(teacher, ONE, teacher)) == pytest.approx(0, abs=1e-6)  # the least already
    assert torch.equal(teacher, torch.tensor([[3.0, 1.0, 2.0]]))


def test_a_ball_keeps_what_is_inside_and_draws_in_what_is_not() -> None:
    centre = torch.tensor([1.0, 1.0])
    ball = Ball(centre, 1.0)
    inside = torch.tensor([1.0, 2.0])
    assert torch.equal(ball.project(inside), inside)
    torch.testing.assert_close(ball.project(torch.tensor([4.0, 5.0])), torch.tensor([1.6, 1.8]))
    assert torch.equal(centre, torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize("objective", [UnlearningCrossEntropy(), Distillation(MODEL), LoweredLogit(MODEL)])
def test_gradients_reach_the_logits(objective: Objective) -> None:
    logits = LOGITS.clone().requires_grad_()
    torch.autograd.backward(objective.loss(logits, ZERO, torch.tensor([[0.0, 5.0]])))
    assert logits.grad is not None
    assert bool((logits.grad != 0).all())


@pytest.mark.parametrize("shape", [(6, 1), (6,)])
def test_one_output_is_the_logit_of_class_1(shape: tuple[int, ...]) -> None:
    outputs = torch.linspace(-3, 3, 6).reshape(shape)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    assert torch.allclose(logits_of(outputs).softmax(dim=1)[:, 1], outputs.reshape(-1).sigmoid())
    by_hand = -torch.where(labels == 1, outputs.reshape(-1).sigmoid(), 1 - outputs.reshape(-1).sigmoid()).log().mean()
    assert torch.allclose(CrossEntropy().loss(outputs, labels, None), by_hand)
    assert torch.allclose(GivenLoss(torch.nn.BCEWithLogitsLoss()).loss(outputs, labels, None), by_hand)
    assert logits_of(torch.ones(4, 3)).shape == (4, 3)


def test_every_objective_takes_one_output_as_its_two_logits() -> None:
    outputs, labels = torch.linspace(-1, 1, 4)[:, None], torch.tensor([0, 1, 0, 1])
    teacher = logits_of(outputs.flip(0))
    for objective in (
        CrossEntropy(),
        Ascent(Ball(torch.zeros(1), 1.0)),
        UnlearningCrossEntropy(),
        Distillation(torch.zeros(1)),
        LoweredLogit(torch.zeros(1)),
    ):
        assert torch.equal(
            objective.loss(outputs, labels, teacher), objective.loss(logits_of(outputs), labels, teacher)
        )
