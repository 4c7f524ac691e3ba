# SPDX-License-Identifier: MIT
"""How well a model does on every client's images: accuracy, balanced accuracy and AUC, pooled and by client."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import Examples, FederatedData, Labels, Split, normalise
from fedlethe.federation.execution import Execution
from fedlethe.federation.objective import logits_of
from fedlethe.later import nn, torch
from fedlethe.ranking import auc, auc_interval
from fedlethe.types import ClientId, Evaluation, Metrics, Vector
from fedlethe.vector import Layout, load_vector

BATCH_SIZE = 128

BINS = 10
"""Of the calibration error, from 0 to 1."""

LEAST = 1e-300
"""Stands for a probability of 0, whose logarithm is not finite."""

Probabilities = npt.NDArray[np.float64]


def predict(network: nn.Module, execution: Execution, examples: Examples) -> Probabilities:
    """The network's class probabilities for each example, shape (n, classes); a row is NaN where the logits are."""
    network.eval()
    rows = []
    with torch.no_grad():  # TorchScript that was trained cannot answer in inference mode
        for images, _ in examples.batches(BATCH_SIZE):
            with execution.autocast():
                outputs = network(execution.arrange(normalise(images.to(execution.device))))
            # In float64: in float32 sure answers are all exactly 1, and the AUC could not rank them.
            rows.append(logits_of(outputs).double().softmax(dim=1).cpu().numpy())
    return np.concatenate(rows)


def log_probabilities(
    network: nn.Module, layout: Layout, execution: Execution, model: Vector, parts: Sequence[Examples]
) -> Probabilities:
    """What a model, shape (P,), answers to examples, shape (n, classes): finite, and normalised.

    `network` is where it is asked; its weights are overwritten.
    """
    load_vector(network, layout, model)
    rows = [predict(network, execution, part) for part in parts if len(part)]
    # A row of NaN becomes a row of ones, which the next line makes equal probabilities: it knows nothing.
    answers = np.log(np.maximum(np.nan_to_num(np.concatenate(rows), nan=1.0), LEAST))
    normalised: Probabilities = answers - np.logaddexp.reduce(answers, axis=1, keepdims=True)
    return normalised


def metrics(labels: Labels, probabilities: Probabilities) -> Metrics:
    """Metrics of predictions.

    Args:
        labels: Shape (n,), n >= 1.
        probabilities: Shape (n, classes). A row that is not finite counts as a wrong answer, and as undecided
            (equal probabilities) in the AUC.

    Returns:
        The metrics; `auc` is None where one class only occurs.
    """
    classes = probabilities.shape[1]
    finite = np.asarray(np.isfinite(probabilities).all(axis=1))
    right = finite & (np.where(finite[:, None], probabilities, 0).argmax(axis=1) == labels)
    present = np.unique(labels)
    # Over the classes that occur: a hospital that has one class alone is not charged with the others.
    balanced = float(np.mean([right[labels == label].mean() for label in present]))
    scores = np.where(finite[:, None], probabilities, 1 / classes)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels[finite], scores[finite].argmax(axis=1)), 1)
    areas = _areas(labels, scores, present)
    return Metrics(
        num_examples=len(labels),
        accuracy=float(right.mean()),
        balanced_accuracy=balanced,
        auc=None if areas is None else areas[0],
        auc_interval=None if areas is None else areas[1:],
        calibration=calibration(scores.max(axis=1), right),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def calibration(certainty: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """The expected calibration error: see `Metrics.calibration`.

    Args:
        certainty: The probability of each answer, shape (n,).
        right: Whether it is right, shape (n,).

    Example:
        >>> round(calibration(np.array([0.95, 0.95, 0.65]), np.array([True, False, True])), 3)
        0.417
    """
    bins = np.minimum((certainty * BINS).astype(np.int64), BINS - 1)
    apart = np.bincount(bins, certainty - right, minlength=BINS)
    return float(np.abs(apart).sum() / len(right))


def _areas(labels: Labels, scores: Probabilities, present: Labels) -> tuple[float, float, float] | None:
    """The AUC, and the least and the greatest that is likely; of several classes the means of each against the rest."""
    if len(present) < 2:
        return None
    groups = [
        (scores[labels == label, label], scores[labels != label, label])
        for label in ([1] if scores.shape[1] == 2 else present.tolist())
    ]
    # The mean of the bounds is that of areas which go up and down together: too wide sooner than too narrow.
    low, high = np.mean([auc_interval(*group) for group in groups], axis=0).tolist()
    return float(np.mean([auc(*group) for group in groups])), low, high


def evaluate(
    network: nn.Module,
    layout: Layout,
    model: Vector,
    data: FederatedData,
    execution: Execution,
    split: Split = "test",
    without: Collection[ClientId] = (),
) -> Evaluation:
    """Evaluate a model, shape (P,), on one split of every client that has images in it.

    `network` is where it is evaluated; its weights are overwritten. `without` are the erased clients (see `pooled`).
    """
    load_vector(network, layout, model)
    labels: dict[str, Labels] = {}
    scores: dict[str, Probabilities] = {}
    for client, held in data.clients.items():
        examples = held.split(split)
        if len(examples):
            labels[client], scores[client] = examples.labels, predict(network, execution, examples)
    return pooled(labels, scores, without)


def pooled(
    labels: Mapping[ClientId, Labels], scores: Mapping[ClientId, Probabilities], without: Collection[ClientId] = ()
) -> Evaluation:
    """The metrics of each client's predictions, of all of them together, and of all but some where any are named."""

    def of(clients: Collection[ClientId]) -> Metrics:
        held = [np.concatenate([part[client] for client in clients]) for part in (labels, scores)]
        return metrics(*held)

    retained = [client for client in labels if client not in without]
    return Evaluation(
        overall=of(labels),
        clients={client: metrics(labels[client], scores[client]) for client in labels},
        retained=of(retained) if without and retained else None,
    )
