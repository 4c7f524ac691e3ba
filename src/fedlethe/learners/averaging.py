# SPDX-License-Identifier: MIT
"""Federated averaging: clients train a network, round after round; a client leaves by an unlearning method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedlethe import unlearning
from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config import RunConfig
from fedlethe.config.learning import Method
from fedlethe.data.federated import FederatedData
from fedlethe.errors import RequestError
from fedlethe.federation.aggregate import shares
from fedlethe.federation.aggregator import AGGREGATORS, demand_repeatable
from fedlethe.federation.federation import Federation
from fedlethe.federation.metered import Meter, metered
from fedlethe.federation.train import sample_clients, train
from fedlethe.federation.trial import demand_trainable
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import NOT_EVALUATED
from fedlethe.history.history import History
from fedlethe.history.succession import Succession
from fedlethe.later import torch
from fedlethe.learners.kept_bytes import bytes_for
from fedlethe.learners.learner import EarlierParts
from fedlethe.models import initialise
from fedlethe.progress import bar
from fedlethe.runs.past import Lineage
from fedlethe.runs.records import to_json
from fedlethe.runs.run import OpenRun, Prepared, demand_clients
from fedlethe.runs.run_toml import config_of
from fedlethe.seeding import torch_generator
from fedlethe.types import ClientId, Evaluation, Need, Vector
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import UnlearningMethod, method_name
from fedlethe.vector import to_vector


def schedule_of(
    config: RunConfig, clients: Sequence[ClientId], seed: int, after: int = 0
) -> list[tuple[int, tuple[ClientId, ...]]]:
    """The rounds of a training and who takes part in each, drawn by the seed.

    Args:
        config: Says how many rounds, and which share of the clients joins each.
        clients: Who can be drawn.
        seed: Of the training.
        after: The last round that is done already.
    """
    settings = config.federation
    return [
        (round, sample_clients(clients, settings.participation, seed, round))
        for round in range(after + 1, settings.rounds + 1)
    ]


@dataclass(frozen=True, slots=True)
class AveragingLearner:
    """Federated averaging of a network; see `Learner` for what each function is for."""

    @property
    def by_steps(self) -> bool:
        """See `Learner.by_steps`."""
        return True

    @property
    def retraining(self) -> str:
        """See `Learner.retraining`."""
        return "retrain"

    def demand_fit(self, prepared: Prepared, earlier: EarlierParts) -> tuple[str, ...]:
        """See `Learner.demand_fit`: a few images go through the network once, a made-up round through the aggregator.

        Any network goes on from any model of its own layout, which is checked where that model is read; one on features
        from a model on the same features.
        """
        _demand_same_features(prepared.config, earlier)
        config, before = prepared.config, to_vector(prepared.network, prepared.layout)
        unreached: tuple[str, ...] = ()
        if prepared.remote is None:  # else the images are elsewhere, and the first round tells
            unreached = demand_trainable(
                prepared.network,
                prepared.data,
                config.local,
                prepared.execution,
                prepared.objective,
                f"model '{config.model_name}'",
            )
        if config.learning.aggregator_name in AGGREGATORS.rows:  # which are tested, and a large model takes a while
            return unreached
        clients = sample_clients(tuple(prepared.data.clients), config.federation.participation, config.seed, 1)
        # All different, as those of clients are: some aggregators divide by how far models lie apart.
        generator = torch_generator(config.seed, "aggregator trial")
        models = {one: before + 0.01 * torch.randn(before.shape, generator=generator) for one in clients}
        weights = shares(dict.fromkeys(clients, 1))
        demand_repeatable(config.learning.aggregator, prepared.layout, before, models, weights)
        return unreached

    def train(
        self, prepared: Prepared, history: RunFolder, earlier: EarlierParts, evaluated: Callable[[int], bool]
    ) -> None:
        """See `Learner.train`."""
        config = prepared.config
        federation = prepared.federation(strict=False)
        schedule = schedule_of(config, federation.clients, config.seed, after=history.rounds)
        updates = sum(len(participants) for _, participants in schedule)
        with bar("training, client updates", updates) as advance:
            counted = metered(federation, Meter(notify=advance))
            for record in train(counted, history.final(), schedule):
                due = evaluated(record.round) or record.round == config.federation.rounds
                history.append(record, to_json(prepared.evaluate(record.after), Evaluation) if due else NOT_EVALUATED)

    def retrain(
        self, prepared: Prepared, clients: Collection[ClientId], seed: int, meter: Meter | None = None
    ) -> Vector:
        """See `Learner.retrain`."""
        config, data = prepared.config, prepared.data
        federation: Federation = prepared.federation(seed).without(set(data.clients) - set(clients))
        if meter is not None:
            federation = metered(federation, meter)
        model = to_vector(initialise(config.model, data.image_shape[0], len(data.classes), seed), prepared.layout)
        for record in train(federation, model, schedule_of(config, federation.clients, seed)):
            model = record.after
        return model

    def unlearn(
        self, run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter
    ) -> Unlearned:
        """See `Learner.unlearn`."""
        assert not isinstance(method, Subtraction)  # `RunConfig.method` makes none for a network
        _demand_kept(run.lineage, method, history)
        retained = run.federation().without(set(run.data.clients) - set(history.clients))
        return unlearning.unlearn(method, forget, history, metered(retained, meter))

    def erasable(self, data: FederatedData, history: History) -> list[ClientId]:
        """Those whose images this run has: a client of an earlier run alone is in no round of its history."""
        return [client for client in history.clients if client in data.clients]

    def demand_erasable(self, data: FederatedData, clients: tuple[ClientId, ...]) -> None:
        """See `Learner.demand_erasable`."""
        demand_clients(data, clients)

    def patients_taken(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, tuple[str, ...]]:
        """None: nothing tells a patient's part of a client's updates from the rest (see `erasing.patients`)."""
        return {}

    def options_for(self, patients: Mapping[ClientId, tuple[str, ...]]) -> Mapping[str, Any]:
        """None: who takes patients out of a network is `erasing.unlearn_step`."""
        return {}

    def bytes_kept(self, history: RunFolder, method: Method) -> int:
        """What the method declares, as if all clients had joined all rounds; see `bytes_for`."""
        layout = history.layout
        return bytes_for(method.needs, layout.size, len(layout.shapes), len(history.clients), history.rounds)

    def revised(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, ByClass]:
        """None: no statistics are kept."""
        return {}

    def standardisation(self, run: OpenRun) -> None:
        """None: a network's own weights are its coordinates."""


def _demand_kept(lineage: Lineage, method: UnlearningMethod, history: History) -> None:
    """Refuse a method that needs what the histories do not hold, or do not hold of the model as it is now."""
    kept = lineage.history.keep.intersection(*(part.keep for part in lineage.earlier))
    anew = isinstance(history, Succession) and any(part.anew for part in history.parts)
    for need in sorted(method.needs, key=lambda need: need.name):
        # A retraining leaves influences of its own behind, and nothing else of its rounds.
        if anew and need.of_history and need not in (Need.INITIAL, Need.INFLUENCE):
            raise RequestError(
                f"an earlier erasure trained the model anew, and {need.value} is of the training before it; erase by "
                "influence or retrain"
            )
        if need.of_history and need not in kept:
            gone = [part.history for part in lineage.earlier if need not in part.keep]
            holder = next((one for one in gone if isinstance(one, RunFolder)), lineage.history)
            raise RequestError(f"{method_name(method)}: {holder.lacks(need)}")


def _demand_same_features(config: RunConfig, earlier: EarlierParts) -> None:
    """Refuse to go on from a model on other inputs: features can be as many, and mean something else."""
    for part in earlier():
        assert isinstance(part.history, RunFolder)
        if config_of(part.history.path).document().get("features") != config.document().get("features"):
            raise RequestError(f"{part.history.path}: was trained on other features, or on none; name the same")
