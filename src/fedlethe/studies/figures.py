# SPDX-License-Identifier: MIT
"""What is asked of each model in the studies of hiding: how good it is, what is left of the client, who lost by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from fedlethe.audit.scores import confidence
from fedlethe.data.federated import Examples, Labels
from fedlethe.errors import ConfigError
from fedlethe.federation.evaluation import pooled, predict
from fedlethe.ranking import Floats, auc
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId, Metrics, Spread, Vector
from fedlethe.vector import load_vector

IMAGES = 500
"""At most so many training images of the client, and so many unseen ones, are looked at for membership."""

NOTHING, NO_MASK = "nothing erased", "no mask"
"""Stand for a mask where there is none."""

SIGMA_GIVEN = "isotropic, sigma given"
"""An isotropic mask whose epsilon is what it happens to be."""

LEAST = 1e-300
"""Stands for a probability of 0, whose logarithm is not finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one model answered.

    Attributes:
        metrics: On all clients' test images.
        losses: Mean cross-entropy on each client's test images, in nats, in the order of the run's clients; NaN where
            a client has none.
        attack_success: Share of triggered test images taken for the backdoor's target; None where nobody planted one.
        membership: AUC of confidence, the client's training images against unseen ones.
    """

    metrics: Metrics
    losses: Floats
    attack_success: float | None
    membership: float


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """The images that models are asked about.

    Attributes:
        run: The run.
        unseen: Images that nobody trained on, some of each client.
        triggered: Test images with the backdoor's trigger; None where nobody planted one.
    """

    run: OpenRun
    unseen: tuple[Examples, ...]
    triggered: Examples | None

    @classmethod
    def of(cls, run: OpenRun) -> Probe:
        """The probe of a run.

        Raises:
            FedletheError: Its images lie on other machines.
        """
        if run.remote is not None:
            raise ConfigError(f"{run.path}: its images lie on other machines; study a simulated federation instead")
        held = run.data.clients.values()
        unseen = tuple(_thinned(data.validation if len(data.validation) else data.test) for data in held)
        backdoor = run.config.backdoor
        return cls(run, unseen, None if backdoor is None else run.inputs(backdoor.triggered(run.images)))

    def look(self, model: Vector, erased: Sequence[ClientId]) -> Look:
        """Ask a model, shape (P,); `erased` are the clients of whom traces are looked for."""
        run = self.run
        load_vector(run.network, run.layout, model)
        held = run.data.clients
        scores = {client: self._answers(data.test) for client, data in held.items() if len(data.test)}
        labels = {client: held[client].test.labels for client in scores}
        # In the order of all clients, so that an attacker can compare models client by client.
        losses = [_loss(scores[client], labels[client]) if client in scores else np.nan for client in sorted(held)]
        return Look(
            metrics=pooled(labels, scores).overall,
            losses=np.array(losses),
            attack_success=self._attack_success(erased),
            membership=auc(
                self._confidence([_thinned(held[client].train) for client in erased]), self._confidence(self.unseen)
            ),
        )

    def _answers(self, examples: Examples) -> Floats:
        """Class probabilities of the model that is loaded, shape (n, classes); equal ones where they are not finite."""
        rows = predict(self.run.network, self.run.execution, examples)
        # Large noise makes such answers: they know nothing, and the study goes on to tell that.
        finite = np.isfinite(rows).all(axis=1, keepdims=True)
        filled: Floats = np.where(finite, rows, 1 / rows.shape[1])
        return filled

    def _confidence(self, parts: Sequence[Examples]) -> Floats:
        answers = np.log(np.maximum(np.concatenate([self._answers(part) for part in parts if len(part)]), LEAST))
        return confidence(answers, np.concatenate([part.labels for part in parts if len(part)]))

    def _attack_success(self, erased: Sequence[ClientId]) -> float | None:
        backdoor = self.run.config.backdoor
        if backdoor is None or self.triggered is None or backdoor.client not in erased:
            return None
        return float((self._answers(self.triggered).argmax(axis=1) == backdoor.target).mean())


class Figures(TypedDict):
    """The fields of a HidingPoint that are taken over models."""

    accuracy: Spread
    balanced_accuracy: Spread
    auc: Spread | None
    attack_success: Spread | None
    membership: Spread


def figures(looks: Sequence[Look]) -> Figures:
    """Mean, least and most of what some models answered, at least one."""
    return {
        "accuracy": _spread([one.metrics.accuracy for one in looks]),
        "balanced_accuracy": _spread([one.metrics.balanced_accuracy for one in looks]),
        "auc": _spread_of_those_there([one.metrics.auc for one in looks]),
        "attack_success": _spread_of_those_there([one.attack_success for one in looks]),
        "membership": _spread([one.membership for one in looks]),
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(sum(values) / len(values), min(values), max(values))


def _spread_of_those_there(values: Sequence[float | None]) -> Spread | None:
    there = [value for value in values if value is not None]
    return _spread(there) if there else None


def _loss(answers: Floats, labels: Labels) -> float:
    return float(-np.log(np.maximum(answers[np.arange(len(labels)), labels], LEAST)).mean())


def _thinned(examples: Examples) -> Examples:
    # Evenly spread rather than drawn: every model is asked about the same images.
    step = max(1, -(-len(examples) // IMAGES))
    return examples.only(np.arange(len(examples)) % step == 0)
