# SPDX-License-Identifier: MIT
"""The one round of a closed-form federation: clients send statistics once, the server solves.

A run of it has one round. Beside the models its folder holds each client's statistics, the sums of all, and what the
training chose.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.ridge import RidgeHead
from fedlethe.closed_form.sent import noise_of, rows
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.sums import scratch
from fedlethe.config import RunConfig
from fedlethe.data.federated import FederatedData
from fedlethe.errors import RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.sent_statistics import append_statistics, kept_features
from fedlethe.history.succession import Part
from fedlethe.later import torch
from fedlethe.learners.sums_left import clients_left, folder_of
from fedlethe.progress import track
from fedlethe.runs.records import from_json, to_json
from fedlethe.runs.run import Prepared
from fedlethe.types import ClientId, Evaluation, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a closed-form training, as statistics/features.json holds them.

    Attributes:
        features: Names the feature map.
        size: d, their number.
    """

    features: str
    size: int


@dataclass(frozen=True, slots=True)
class KeptChoices:
    """What a closed-form training chose, as statistics/chosen.json holds it.

    The scores of the penalties are not kept: to all their digits they are nine equations in the rows that were erased.

    Attributes:
        class_weights: Weight of a row by its class.
        penalty: lambda over the sum of the weights.
    """

    class_weights: tuple[float, ...]
    penalty: float


def train_closed_form(prepared: Prepared, history: RunFolder, earlier: Sequence[Part]) -> None:
    """The one round: every client's statistics, their sums, the model; recorded.

    Args:
        prepared: What to train on.
        history: Where it goes.
        earlier: Trainings whose statistics are in the sums, too, where this one begins after an erasure.
    """
    start = time.perf_counter()
    settings = closed_form_settings(prepared.config, prepared.data)
    parts = dict(_parts(prepared))
    # Summed in the order of the names, not of arrival, so that one set of clients has one sum, bit for bit.
    own = total(parts[client] for client in sorted(parts))
    fitted = scratch(partial(clients_left, earlier, new=parts), settings)
    model, choice = vector_of(prepared.layout, fitted.head), fitted.choice
    features = to_json(Features(prepared.config.learning.feature_map.key(), own.size), Features)
    chosen = to_json(KeptChoices(choice.class_weights, choice.penalty), KeptChoices)
    seconds = time.perf_counter() - start
    evaluation = to_json(prepared.evaluate(model), Evaluation)
    append_statistics(history, model, parts, own, features, chosen, seconds, evaluation)


def demand_fitting(prepared: Prepared, earlier: Sequence[Part]) -> None:
    """Refuse settings that do not fit the data, and earlier trainings that were no closed-form ones of these features.

    Raises:
        FedletheError: They do not fit.
    """
    closed_form_settings(prepared.config, prepared.data)
    for part in earlier:
        had = features_of_training(part.history)
        if (had.features, had.size) != (prepared.config.learning.feature_map.key(), prepared.data.image_shape[0]):
            raise RequestError(f"{folder_of(part.history).path}: was trained on other features ({had.features})")


def retrain_closed_form(prepared: Prepared, clients: Collection[ClientId]) -> Vector:
    """The model of a training by these clients alone, shape (P,), every choice its own."""
    parts = {client: statistics_at(prepared.config, prepared.data, client) for client in clients}
    settings = closed_form_settings(prepared.config, prepared.data)
    return vector_of(prepared.layout, scratch(partial(clients_left, (), new=parts), settings).head)


def vector_of(layout: Layout, head: RidgeHead) -> Vector:
    """A head as the model's vector, shape (P,)."""
    vector = torch.empty(layout.size)
    views = layout.tensors(vector)
    views["weight"].copy_(torch.from_numpy(head.weight))
    views["bias"].copy_(torch.from_numpy(head.bias))
    return vector


def closed_form_settings(config: RunConfig, data: FederatedData) -> ClosedFormSettings:
    """The settings of a closed-form run, held against its data.

    Raises:
        FedletheError: There is not one class weight for each class.
    """
    settings = config.learning.settings
    classes = len(data.classes)
    if settings.class_weights is not None and len(settings.class_weights) != classes:
        raise RequestError(
            f"closed_form.class_weights: {len(settings.class_weights)} weights for {classes} classes; give one for each"
        )
    return settings


def _parts(prepared: Prepared) -> Iterator[tuple[ClientId, ByClass]]:
    """What each client sends."""
    if prepared.remote is not None:
        yield from prepared.remote.statistics(prepared.config).items()
        return
    for client in track(sorted(prepared.data.clients), len(prepared.data.clients), "statistics, clients"):
        yield client, statistics_at(prepared.config, prepared.data, client)


def statistics_at(config: RunConfig, data: FederatedData, client: ClientId) -> ByClass:
    """What a client sends; noise is drawn from the operating system, or from the seed that the user set for it."""
    settings = closed_form_settings(config, data)
    own = rows(data.clients[client].train, settings, len(data.classes))
    if settings.epsilon is None:
        return own
    noise = noise_of(settings, client)
    return own.noisy(settings.epsilon, settings.delta, settings.radius, noise)


def features_of_training(history: History) -> Features:
    """The features of a training.

    Raises:
        FedletheError: It is no closed-form one.
    """
    return from_json(kept_features(folder_of(history)), Features)
