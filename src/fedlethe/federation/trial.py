# SPDX-License-Identifier: MIT
"""One gradient step on a few images before anything is written: does this network fit these images and classes?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fedlethe.data.federated import Examples, FederatedData, normalise
from fedlethe.errors import ConfigError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.objective import Objective, has_one_output, logits_of
from fedlethe.later import nn, torch
from fedlethe.outside.plugins import guarded, reason
from fedlethe.text import with_article
from fedlethe.vector import copied

MOST = 4
"""Images to try on: enough for batch norm, and little work for a large network."""

DRAWS = 20
"""Of weights, at most, to tell a probability from a logit: one in a million logits is within [0, 1] in all of them."""


def demand_trainable(
    network: nn.Module,
    data: FederatedData,
    settings: LocalTraining,
    execution: Execution,
    objective: Objective,
    name: str,
) -> tuple[str, ...]:
    """Refuse a network that cannot be trained on these images, or a loss that cannot judge its answers.

    The network and global random state stay as they were.

    Args:
        network: The network.
        data: The clients' images; those of the largest client are tried.
        settings: Of the local training: its batch size.
        execution: Device and precision.
        objective: What clients descend.
        name: Names the network in messages.

    Returns:
        The names of weights that are not frozen and that no gradient reaches on these images. That is no error: a part
        can have no use for this task, or be used by some images alone.

    Raises:
        ConfigError: One of the two fails, or answers with something else than finite numbers of the right shape; or no
            weight would be trained.
    """
    weights = {weight: parameter for weight, parameter in network.named_parameters() if parameter.requires_grad}
    if not weights:
        raise ConfigError(f"{name}: none of its weights takes a gradient; register them as parameters, unfrozen")
    if computed := next((weight for weight, parameter in weights.items() if not parameter.is_leaf), None):
        raise ConfigError(
            f"{name}: its weight '{computed}' is what a computation gave, so that no step would move it; build the "
            "network anew, or make each weight one of its own: weight.detach_().requires_grad_()"
        )
    examples = max(data.clients.values(), key=lambda client: len(client.train)).train
    count = min(MOST, len(examples), settings.batch_size)
    classes = len(data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tried = copied(network)
        images, labels = _batch(examples, count, execution)
        # One alone, too: a client may have a single test image, and squeeze() would take its row for a column.
        for training, rows in ((True, count), (False, count), (False, 1)):
            trial = f"on {rows} image{'s' * (rows > 1)} of shape {tuple(data.image_shape)} and {classes} classes"
            tried.train(training)
            outputs = _outputs(tried, images[:rows], execution, f"{name}: {trial}")
            _demand_outputs(outputs, rows, classes, f"{name}: {trial}")
            if training:
                _demand_loss(outputs.float(), labels, objective, f"{name}, its loss: {trial}")
                reached = {weight for weight, parameter in tried.named_parameters() if parameter.grad is not None}
                if not reached:
                    raise ConfigError(f"{name}: {trial} no gradient reaches its weights; do not detach() on the way")
        demand_logits(tried, lambda: _outputs(tried, images, execution, name), classes, name)
    return tuple(weight for weight in weights if weight not in reached)


def demand_logits(network: nn.Module, answers: Callable[[], torch.Tensor], classes: int, where: str) -> None:
    """Refuse a single output that is a probability, as after a sigmoid: taken for a logit, it would always say class 1.

    Args:
        network: A copy of the network: its weights are drawn anew.
        answers: Asks this copy; gives what it puts out.
        classes: How many classes there are.
        where: Names the network.

    Raises:
        ConfigError: The output is never outside [0, 1], whatever the weights.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(DRAWS):
            outputs = answers()
            if classes != 2 or not has_one_output(outputs) or bool(((outputs < 0) | (outputs > 1)).any()):
                return
            for weights in network.parameters():
                # Other signs, so that a logit falls below 0 half of the time; and away from 0, where a head may begin.
                drawn = torch.randn(weights.shape).to(weights)
                weights.mul_(drawn.sign()).add_(drawn, alpha=0.1)
    raise ConfigError(
        f"{where}: its one output is never outside [0, 1]; give the logit of class 1, without a sigmoid, and a loss of "
        "logits, such as torch.nn.BCEWithLogitsLoss"
    )


def _batch(examples: Examples, count: int, execution: Execution) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = (tensor.to(execution.device) for tensor in examples.batch(np.arange(count)))
    return execution.arrange(normalise(images)), labels


def _outputs(network: nn.Module, images: torch.Tensor, execution: Execution, where: str) -> Any:
    with execution.autocast():
        return guarded(lambda: network(images), where, "give a network that fits them")


def _demand_outputs(outputs: Any, count: int, classes: int, where: str) -> None:
    if isinstance(outputs, torch.Tensor) and classes == 2 and outputs.is_floating_point() and has_one_output(outputs):
        outputs = logits_of(outputs)
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or len(outputs) != count:
        shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else with_article(outputs)
        raise ConfigError(f"{where} it answers with {shape}; give logits of shape ({count}, {classes})")
    if outputs.shape[1] < classes:
        raise ConfigError(f"{where} it has {outputs.shape[1]} outputs; give it one for each class")
    if not outputs.is_floating_point() or not bool(torch.isfinite(outputs).all()):
        raise ConfigError(f"{where} its answers are not all finite floats; give logits, not classes")


def _demand_loss(outputs: torch.Tensor, labels: torch.Tensor, objective: Objective, where: str) -> None:
    remedy = "give one that takes logits and class numbers"
    loss: Any = guarded(lambda: objective.loss(outputs, labels, None), where, remedy)
    if not isinstance(loss, torch.Tensor) or loss.ndim or not bool(torch.isfinite(loss)):
        several = isinstance(loss, torch.Tensor) and loss.ndim
        shown = f"shape {tuple(loss.shape)}" if several else f"{loss}"
        raise ConfigError(f"{where} it gives {shown}; give the mean of the batch, a finite scalar tensor")
    try:
        torch.autograd.backward(loss)
    except RuntimeError as error:
        raise ConfigError(f"{where} no gradient comes back ({reason(error)}); do not detach() on the way") from error
