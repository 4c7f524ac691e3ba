# SPDX-License-Identifier: MIT
"""What a client's steps descend: cross-entropy, or what an unlearning method asks for in its place.

An objective is a frozen value that travels with the request to train. Its `loss` takes what the network puts out,
float32, shape (b, classes), int64 labels, shape (b,), and, where it has a teacher, the teacher's logits on the same
images. A network of two classes may have one output instead, shape (b, 1) or (b,): the logit of class 1. `logits_of`
makes two of it, so that nothing else has to know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from fedlethe.later import functional, torch
from fedlethe.types import Vector


def has_one_output(outputs: torch.Tensor) -> bool:
    """Whether a network of two classes put out one number for each example."""
    return outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)


def logits_of(outputs: torch.Tensor) -> torch.Tensor:
    """What a network puts out, as logits, shape (b, classes).

    Example:
        >>> logits_of(torch.tensor([[1.5], [-2.0]])).tolist()  # their softmax is the sigmoid
        [[0.0, 1.5], [0.0, -2.0]]
    """
    if not has_one_output(outputs):
        return outputs
    column = outputs.reshape(-1, 1)
    return torch.cat([torch.zeros_like(column), column], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """All models within `radius` (L2) of `centre`, shape (P,)."""

    centre: Vector
    radius: float

    def project(self, model: Vector) -> Vector:
        """The nearest model in the ball, shape (P,)."""
        step = model - self.centre
        # In float64: over millions of weights float32 loses digits, and the model would lie outside.
        length = float(torch.linalg.vector_norm(step, dtype=torch.float64))
        return model if length <= self.radius else self.centre + step.mul_(self.radius / length)


class Objective(Protocol):
    """See the module's docstring.

    Attributes:
        teacher: The model whose logits the loss wants, shape (P,); None if it wants none.
        ball: Where the model is projected to after each step; None for nowhere.
    """

    @property
    def teacher(self) -> Vector | None: ...  # noqa: D102

    @property
    def ball(self) -> Ball | None: ...  # noqa: D102

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """The mean loss of a batch, a scalar."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GivenLoss:
    """A loss that was handed over from Python.

    Attributes:
        function: From outputs and labels to the mean loss of the batch. Of one output it is given the labels as floats
            of the outputs' shape, as torch.nn.BCEWithLogitsLoss takes them.
    """

    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    teacher: ClassVar[None] = None
    ball: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        if has_one_output(outputs):
            labels = labels.to(outputs.dtype).reshape(outputs.shape)
        return self.function(outputs, labels)


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """-log p_y: what training descends."""

    teacher: ClassVar[None] = None
    ball: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        return functional.cross_entropy(logits_of(outputs), labels)


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """log p_y: descending it climbs the cross-entropy, within a ball (Halimi et al., 2022)."""

    ball: Ball
    teacher: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        return -functional.cross_entropy(logits_of(outputs), labels)


@dataclass(frozen=True, slots=True)
class UnlearningCrossEntropy:
    """-log(1 - p_y / 2) (Pan et al., FedOSD, 2025): bounded by log 2, and least where p_y is 0."""

    teacher: ClassVar[None] = None
    ball: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        right = logits_of(outputs).softmax(dim=1).gather(1, labels[:, None])
        # log1p keeps the digits where p_y is small, which is where the descent leads.
        return -torch.log1p(-right / 2).mean()


@dataclass(frozen=True, slots=True, eq=False)
class Distillation:
    """T^2 KL(teacher || student) of the softened answers (Hinton et al., 2015); labels are not looked at."""

    teacher: Vector
    temperature: float = 1.0
    ball: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        assert teacher is not None
        # Softening divides the gradients by T^2: with the factor a learning rate means the same at every T.
        return self.temperature**2 * _divergence(teacher / self.temperature, logits_of(outputs) / self.temperature)


@dataclass(frozen=True, slots=True, eq=False)
class LoweredLogit:
    """KL(teacher || student), the teacher's logit of the true class lowered to the least of the others' (FedQUIT)."""

    teacher: Vector
    ball: ClassVar[None] = None

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        """See `Objective.loss`."""
        assert teacher is not None
        # Infinity takes the true class out of the minimum.
        others = teacher.scatter(1, labels[:, None], torch.inf)
        least = others.min(dim=1, keepdim=True).values
        right = teacher.gather(1, labels[:, None])
        # Only ever lowered: a true class that is the least already stays where it is.
        return _divergence(teacher.scatter(1, labels[:, None], torch.minimum(right, least)), logits_of(outputs))


def _divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """KL of the softmax of `teacher` from that of `student`, mean over the batch."""
    # Logarithms on both sides: a probability that underflows has none, and the loss would be NaN.
    targets, answers = teacher.log_softmax(dim=1), student.log_softmax(dim=1)
    return functional.kl_div(answers, targets, reduction="batchmean", log_target=True)
