# SPDX-License-Identifier: MIT
"""What a client does with the global model it is sent: the one place where gradients are taken."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import Examples, normalise
from fedlethe.federation.execution import Execution
from fedlethe.federation.objective import CrossEntropy, Objective, logits_of
from fedlethe.later import nn, torch
from fedlethe.types import ClientId, Update, Vector
from fedlethe.vector import Layout, load_vector, to_vector

CROSS_ENTROPY = CrossEntropy()
MOMENTUM = 0.9
"""Of SGD, where none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalTraining:
    """How a client trains in one round.

    Attributes:
        epochs: Passes over the client's images; a fraction of a pass takes that share of them.
        batch_size: Images in one gradient step.
        optimizer: 'sgd', 'adam' or 'adamw', made anew in every round.
        learning_rate: Step size.
        momentum: Of SGD, 0.9 if None; the others have none.
        weight_decay: L2 penalty (decoupled for 'adamw').
        clip: L2 norm that each step's gradient is clipped to; infinity clips nothing.
    """

    epochs: float = 1.0
    batch_size: int = 32
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.05
    momentum: float | None = None
    weight_decay: float = 0.0
    clip: float = math.inf

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a finite number above 0, not {getattr(self, name)}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(f"momentum is of optimizer 'sgd', and this is '{self.optimizer}'; leave it out")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), not {self.momentum}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number of at least 0, not {self.weight_decay}")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0 (inf clips nothing), not {self.clip}")

    def in_full(self) -> LocalTraining:
        """The same, with the momentum that SGD has where none is given."""
        return replace(self, momentum=MOMENTUM) if self.optimizer == "sgd" and self.momentum is None else self

    def batches(self, num_examples: int, generator: torch.Generator) -> Iterator[npt.NDArray[np.int64]]:
        """Positions of the images of each step, shape (b,), b <= batch_size: a fresh shuffle for each pass.

        A last batch of one image is left out where there are larger ones, since batch norm has no variance of it.
        """
        left = math.ceil(self.epochs * num_examples)
        while left > 0:
            # Cut from the shuffle: a part of a pass is a random part of the images, not the first ones.
            order = torch.randperm(num_examples, generator=generator).numpy()[:left]
            left -= len(order)
            for start in range(0, len(order), self.batch_size):
                positions = order[start : start + self.batch_size]
                if len(positions) > 1 or 1 in (len(order), self.batch_size):
                    yield positions

    def make_step(self, network: nn.Module) -> Callable[[], None]:
        """A fresh optimiser for the network's parameters: each call is one step along their gradients."""
        # No state outlives the round: what a client kept of its steps would be one more trace to erase.
        parameters = list(network.parameters())
        if self.optimizer == "sgd":
            momentum = self.in_full().momentum or 0.0
            return partial(_sgd_step, parameters, [None] * len(parameters), self, momentum)
        adam = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
        return adam(parameters, self.learning_rate, weight_decay=self.weight_decay).step


def _sgd_step(
    parameters: Sequence[Vector], momenta: list[Vector | None], settings: LocalTraining, momentum: float
) -> None:
    """One step of stochastic gradient descent, which keeps each parameter's momentum in `momenta`."""
    # The function below the class torch.optim.SGD, which imports PyTorch's compiler: two seconds for whoever trains.
    from torch.optim.sgd import sgd

    reached = [place for place, parameter in enumerate(parameters) if parameter.grad is not None]
    kept = [momenta[place] for place in reached]
    with torch.no_grad():
        sgd(
            [parameters[place] for place in reached],
            [gradient for parameter in parameters if (gradient := parameter.grad) is not None],
            kept,
            lr=settings.learning_rate,
            momentum=momentum,
            weight_decay=settings.weight_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
    for place, moved in zip(reached, kept, strict=True):
        momenta[place] = moved


def train_locally(
    network: nn.Module,
    layout: Layout,
    model: Vector,
    *,
    client: ClientId,
    examples: Examples,
    settings: LocalTraining,
    execution: Execution,
    generator: torch.Generator,
    objective: Objective = CROSS_ENTROPY,
) -> Update:
    """Train from the global model on one client's images.

    Args:
        network: Where to train; its weights are overwritten.
        layout: The network's layout, of P floats.
        model: The global model, shape (P,); it is not changed.
        client: Who trains.
        examples: The client's training images, at least one.
        settings: Epochs, batch size and optimiser.
        execution: Device and precision.
        generator: Draws the shuffles.
        objective: What the steps descend.

    Returns:
        The client's update.
    """
    teacher = None if objective.teacher is None else _teacher(network, layout, objective.teacher, execution)
    load_vector(network, layout, model)
    network.train()
    step = settings.make_step(network)
    losses: list[torch.Tensor] = []
    processed = 0
    for positions in settings.batches(len(examples), generator):
        images, labels = (tensor.to(execution.device) for tensor in examples.batch(positions))
        arranged = execution.arrange(normalise(images))
        with execution.autocast():
            outputs = network(arranged)
        # In float32 also under autocast: the 8 bits of bf16 are too few for the logarithm of an answer near 1.
        loss = objective.loss(outputs.float(), labels, None if teacher is None else teacher(arranged))
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if math.isfinite(settings.clip):
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        step()
        # After each step: the way through the ball is part of the method, not only where it ends.
        if objective.ball is not None:
            load_vector(network, layout, objective.ball.project(to_vector(network, layout)))
        # Left on the device: to read each one would wait for the step to end.
        losses.append(loss.detach())
        processed += len(positions)
    return Update(
        client=client,
        model=to_vector(network, layout),
        num_examples=len(examples),
        examples_processed=processed,
        steps=len(losses),
        loss=float(torch.stack(losses).mean()),
    )


def _teacher(
    network: nn.Module, layout: Layout, model: Vector, execution: Execution
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The logits that a model, shape (P,), gives to a batch of arranged images: float32, shape (b, classes)."""
    # A second network, since the steps overwrite the first while they learn from this one.
    held = copy.deepcopy(network)
    load_vector(held, layout, model)
    held.eval()

    def answer(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), execution.autocast():
            outputs: torch.Tensor = held(images)
        return logits_of(outputs).float()

    return answer
