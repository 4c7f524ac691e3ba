# SPDX-License-Identifier: MIT
"""Asks models for what the audits look at, and keeps it in a file: log-probabilities, float64, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.numpy

from fedlethe import files, tensors
from fedlethe.audit import Answers, Task
from fedlethe.audit.membership import RETAINED
from fedlethe.audit.relearn import SHORT_TRAININGS
from fedlethe.audit.scores import Floats
from fedlethe.data.federated import Examples, FederatedData
from fedlethe.errors import IntegrityError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.evaluation import log_probabilities
from fedlethe.federation.federation import Federation
from fedlethe.learners.which import learner_of
from fedlethe.runs.run import Prepared
from fedlethe.seeding import derive
from fedlethe.types import ClientId, Vector

EMPTY: Mapping[ClientId, Sequence[str]] = {}


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The images that models are asked about.

    Attributes:
        forget: The forgotten clients.
        sets: By the names of `Answers`.
        task: The right answers.
    """

    forget: tuple[ClientId, ...]
    sets: dict[str, list[Examples]]
    task: Task

    @classmethod
    def of(
        cls, prepared: Prepared, forget: Sequence[ClientId], patients: Mapping[ClientId, Sequence[str]] = EMPTY
    ) -> Examination:
        """The examination of a federation for some forgotten clients, or for these patients of them alone."""
        data = prepared.data
        retained = [client for client in data.clients if client not in forget]
        forgotten = {client: data.clients[client].train for client in sorted(forget)}
        for client, names in patients.items():
            forgotten[client] = forgotten[client].only(data.of_patients(client, names)["train"])
        sets = {
            "test": [held.test for held in data.clients.values()],
            "forgotten": list(forgotten.values()),
            "retained": _thinned(data, retained),
        }
        backdoor = prepared.config.backdoor
        if backdoor is not None and backdoor.client in forget:
            sets["triggered"] = [prepared.inputs(backdoor.triggered(prepared.images))]
        labels = {name: np.concatenate([part.labels for part in parts]) for name, parts in sets.items()}
        task = Task(
            labels["test"],
            labels["forgotten"],
            labels["retained"],
            backdoor.target if backdoor is not None and "triggered" in sets else None,
        )
        return cls(forget=tuple(sorted(forget)), sets=sets, task=task)

    def ask(self, prepared: Prepared, model: Vector, relearn: bool) -> Answers:
        """What a model, shape (P,), answers; `relearn` trains it on the forgotten images (a network, that is)."""
        by_steps = learner_of(prepared.config).by_steps
        answer = partial(log_probabilities, prepared.network, prepared.layout, prepared.execution)
        answers = {name: answer(model, parts) for name, parts in self.sets.items()}
        if not relearn or not by_steps:
            return Answers(**answers)
        federation = prepared.federation(seed=derive(prepared.config.seed, "relearn"))
        forgotten = dict(zip(self.forget, self.sets["forgotten"], strict=True))
        return Answers(**answers, relearn=relearning(federation, prepared.config.local, forgotten, answer, model))


def relearning(
    federation: Federation,
    settings: LocalTraining,
    forgotten: Mapping[ClientId, Examples],
    answer: Callable[[Vector, Sequence[Examples]], Floats],
    model: Vector,
) -> Floats:
    """The mean loss on the forgotten images, before and after each of some short trainings on them.

    Args:
        federation: Asks the forgotten clients, and them alone, to train.
        settings: How they train in a round; the epochs are those of `SHORT_TRAININGS`.
        forgotten: The images that the loss is of.
        answer: A model's log-probabilities on some images, shape (images, classes).
        model: Is trained, shape (P,).
    """
    times, epochs = SHORT_TRAININGS
    parts, losses = list(forgotten.values()), []
    labels = np.concatenate([part.labels for part in parts])
    for time in range(times + 1):
        losses.append(-float(answer(model, parts)[np.arange(len(labels)), labels].mean()))
        for client in forgotten if time < times else ():
            (update,) = federation.train(model, (client,), round=time, settings=replace(settings, epochs=epochs))
            model = update.model
    return np.array(losses)


def _thinned(data: FederatedData, clients: Sequence[ClientId]) -> list[Examples]:
    """The training images of these clients, or every n-th of them where they are too many."""
    total = sum(len(data.clients[client].train) for client in clients)
    step = -(-total // RETAINED)
    parts = [data.clients[client].train for client in clients]
    return [part.only(np.arange(len(part)) % step == 0) for part in parts]


def answers_to_bytes(answers: Answers) -> bytes:
    """Answers as the content of a safetensors file."""
    arrays = {field.name: getattr(answers, field.name) for field in fields(Answers)}
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    return safetensors.numpy.save(kept)


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers to a file of their own."""
    with files.written_whole(path) as aside:
        aside.write_bytes(answers_to_bytes(answers))


def load_answers(path: Path) -> Answers:
    """Read what `save_answers` wrote.

    Raises:
        FedletheError: The file is not whole.
    """
    return answers_from_bytes(files.content_of(path), path)


def answers_from_bytes(content: bytes, path: Path) -> Answers:
    """What `answers_to_bytes` made; `path` names the file in messages.

    Raises:
        IntegrityError: It is not whole.
    """
    arrays, _ = tensors.read_arrays(content, path)
    try:
        return Answers(**arrays)
    except TypeError:
        held = ", ".join(arrays)[:200]
        raise IntegrityError(
            f"{path}: holds no answers of a model (it holds {held or 'nothing'}); remove it and run the command again"
        ) from None
