# SPDX-License-Identifier: MIT
"""What travels between the server and the nodes: requests and replies, as Flower's records and back.

Models are one float32 array each, so a message holds one object however many layers the network has. An objective
travels with the request to train, its vectors as arrays, so that every unlearning method runs on Flower unchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedlethe.closed_form.by_class import ByClass
from fedlethe.config.learning import LearnerName
from fedlethe.errors import ConfigError, NodeError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.objective import (
    Ascent,
    Ball,
    CrossEntropy,
    Distillation,
    LoweredLogit,
    Objective,
    UnlearningCrossEntropy,
)
from fedlethe.later import torch
from fedlethe.types import ClientId, Metrics, Update, Vector

TRAIN = "train.fedlethe"
EVALUATE = "evaluate.fedlethe"
WHO = "query.fedlethe_who"
DESCRIBE = "query.fedlethe_describe"
ANSWER = "query.fedlethe_answer"
STATISTICS = "query.fedlethe_statistics"

OBJECTIVES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (CrossEntropy, Ascent, UnlearningCrossEntropy, Distillation, LoweredLogit)
}
"""The objectives that can travel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Computing:
    """How nodes compute, so that all do alike.

    Attributes:
        precision: What the server resolved 'auto' to.
        threads: Threads of one operation on a CPU, on which the rounding of sums depends; 0 for each node's own.
        learner: 'fedavg', or 'closed-form'.
    """

    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int = 0
    learner: LearnerName = "fedavg"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NodeRequest:
    """What a node is asked to do.

    Attributes:
        client: Whom the server takes the node for; the node compares.
        computing: How to compute.
        models: Those to train or to evaluate, by name, each of shape (P,).
        options: Plain values.
    """

    client: ClientId
    computing: Computing
    models: Mapping[str, Vector] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def records(self) -> RecordDict:
        """As the content of a message."""
        request = {"client": self.client, **dataclasses.asdict(self.computing)}
        content = RecordDict({"request": ConfigRecord(request), "options": ConfigRecord(dict(self.options))})
        if self.models:
            content["models"] = vectors(self.models)
        return content

    @classmethod
    def of(cls, content: RecordDict) -> NodeRequest:
        """What `records` made."""
        request: Any = dict(content.config_records["request"])
        models = content.array_records.get("models", ArrayRecord())
        return cls(
            client=request.pop("client"),
            computing=Computing(**request),
            models={name: vector(models, name) for name in models},
            options=dict(content.config_records["options"]),
        )


def vectors(held: Mapping[str, Vector]) -> ArrayRecord:
    """Vectors as arrays."""
    return ArrayRecord({name: Array(np.ascontiguousarray(one.numpy())) for name, one in held.items()})


def vector(record: ArrayRecord, name: str) -> Vector:
    """One vector of what `vectors` made."""
    return torch.from_numpy(np.require(record[name].numpy(), requirements=["C", "W"]))


# Training


def training(
    client: ClientId,
    computing: Computing,
    model: Vector,
    *,
    round: int,
    seed: int,
    settings: LocalTraining,
    objective: Objective,
) -> RecordDict:
    """The request to train, as the content of a message (see `Federation.train`)."""
    models, plain = {"model": model}, {"objective": type(objective).__name__}
    if plain["objective"] not in OBJECTIVES:
        raise ConfigError(
            f"objective {plain['objective']} cannot travel; add it to OBJECTIVES in flower/nodes/messages.py"
        )
    # As text: a record holds signed numbers of 64 bits, and a seed may be larger.
    options: dict[str, str | int | float | bool] = {"round": round, "seed": str(seed), **plain}
    for field in dataclasses.fields(objective):  # type: ignore[arg-type]
        value = getattr(objective, field.name)
        if isinstance(value, Ball):
            models[f"objective.{field.name}"], options[f"objective.{field.name}"] = value.centre, value.radius
        elif isinstance(value, torch.Tensor):
            models[f"objective.{field.name}"] = value
        else:
            options[f"objective.{field.name}"] = value
    content = NodeRequest(client=client, computing=computing, models=models, options=options).records()
    given = dataclasses.asdict(settings.in_full())
    content["settings"] = ConfigRecord({name: value for name, value in given.items() if value is not None})
    return content


def objective_of(request: NodeRequest) -> Objective:
    """The objective of a request to train."""
    kind = OBJECTIVES[str(request.options["objective"])]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        name = f"objective.{field.name}"
        model, plain = request.models.get(name), request.options.get(name)
        values[field.name] = plain if model is None else model if plain is None else Ball(model, float(plain))
    made: Objective = kind(**values)
    return made


def settings_of(content: RecordDict) -> LocalTraining:
    """The settings of a request to train."""
    values: Any = dict(content.config_records["settings"])
    return LocalTraining(**values)


# Replies


def reply(client: ClientId, fingerprint: str, **facts: str | int | float | bool | list[str]) -> RecordDict:
    """A reply's content: who answers, from which images, and plain facts."""
    return RecordDict({"reply": ConfigRecord({"client": client, "fingerprint": fingerprint, **facts})})


def training_reply(content: RecordDict, update: Update) -> RecordDict:
    """A reply to a request to train."""
    content["update"] = vectors({"model": update.model})
    names = ("num_examples", "examples_processed", "steps", "loss")
    content["metrics"] = MetricRecord({name.replace("_", "-"): getattr(update, name) for name in names})
    return content


def update_of(client: ClientId, content: RecordDict) -> Update:
    """The update in a reply.

    Raises:
        ValueError: It holds none.
    """
    try:
        metrics: Any = content.metric_records["metrics"]
        return Update(
            client=client,
            model=vector(content.array_records["update"], "model"),
            num_examples=int(metrics["num-examples"]),
            examples_processed=int(metrics["examples-processed"]),
            steps=int(metrics["steps"]),
            loss=float(metrics["loss"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its answer holds no update ({type(error).__name__}: {error})") from None


def no_update(client: ClientId, problem: str) -> Update:
    """Stands for the update that a client did not give."""
    return Update(client, torch.empty(0), 0, 0, 0, 0.0, problem)


def with_statistics(content: RecordDict, statistics: ByClass) -> RecordDict:
    """A reply to a request for statistics, as they are: float64."""
    named = {field.name: getattr(statistics, field.name) for field in dataclasses.fields(statistics)}
    content["statistics"] = ArrayRecord({name: Array(np.ascontiguousarray(one)) for name, one in named.items()})
    return content


def statistics_in(client: ClientId, content: RecordDict) -> ByClass:
    """The statistics in a reply, held against what any rows can have.

    Raises:
        NodeError: It holds none, or they cannot be those of any images.
    """
    try:
        record = content.array_records["statistics"]
        held = {field.name: record[field.name].numpy() for field in dataclasses.fields(ByClass)}
    except (KeyError, ValueError) as error:
        raise NodeError(f"{client}: its answer holds no statistics ({type(error).__name__}: {error})") from None
    if wrong := next((name for name, array in held.items() if array.dtype != np.float64), None):
        raise NodeError(f"{client}: its statistics are not float64 ('{wrong}' is {held[wrong].dtype})")
    # A client could send any sums; those that no images have would spoil the model for all.
    found = ByClass(**held)
    found.check(client)
    return found


@dataclass(frozen=True, slots=True)
class Counts:
    """How well a model reads one client's images of a split, without a word on any single image.

    Attributes:
        images: Images of each class.
        answered: Of each class (row) the images that the model took for each class (column); those for which its
            answer is not finite are in none.
        auc: As in `Metrics`; so is the next one. There is no calibration: of few images it tells single answers.
    """

    images: tuple[int, ...]
    answered: tuple[tuple[int, ...], ...]
    auc: float | None = None
    auc_interval: tuple[float, float] | None = None

    def metrics(self) -> Metrics:
        """The metrics of these counts; there has to be an image."""
        right = [row[label] for label, row in enumerate(self.answered)]
        shares = [read / images for read, images in zip(right, self.images, strict=True) if images]
        return Metrics(
            num_examples=sum(self.images),
            accuracy=sum(right) / sum(self.images),
            balanced_accuracy=sum(shares) / len(shares),
            auc=self.auc,
            auc_interval=self.auc_interval,
            confusion=self.answered,
        )

    def record(self) -> MetricRecord:
        """As a record."""
        known = {"auc": self.auc, "auc-interval": self.auc_interval}
        answered = [count for row in self.answered for count in row]
        given: Any = {name: value for name, value in known.items() if value is not None}
        if self.auc_interval is not None:
            given["auc-interval"] = list(self.auc_interval)
        return MetricRecord({"images": list(self.images), "answered": answered, **given})

    @classmethod
    def of(cls, record: MetricRecord) -> Counts:
        """What `record` made."""
        held: Any = dict(record)
        images, answered = tuple(held["images"]), held["answered"]
        classes = len(images)
        if len(answered) != classes**2:
            raise ValueError(f"{len(answered)} counts of answers do not fit {classes} classes")
        rows = tuple(tuple(answered[start : start + classes]) for start in range(0, classes**2, classes))
        if any(min(row) < 0 or sum(row) > count for row, count in zip(rows, images, strict=True)):
            raise ValueError("more images are answered than there are")
        low, high = held.get("auc-interval", (0.0, 1.0))
        shares = [held.get("auc", 0.0), low, high]
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("a share lies outside 0 to 1")
        interval = (low, high) if "auc-interval" in held else None
        return cls(images, rows, held.get("auc"), interval)


def summed_counts(parts: Mapping[ClientId, Counts]) -> Counts:
    """The counts of all clients; no AUC, which only the single answers would give."""
    images = np.sum([part.images for part in parts.values()], axis=0).tolist()
    answered = np.sum([part.answered for part in parts.values()], axis=0).tolist()
    return Counts(tuple(images), tuple(map(tuple, answered)))
