# SPDX-License-Identifier: MIT
"""What a learner is: how clients train a model together, and how they are taken out of it again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from fedlethe.closed_form.by_class import ByClass
from fedlethe.config.learning import Method
from fedlethe.data.federated import FederatedData
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.history.succession import Part
from fedlethe.privacy.accounting import Array
from fedlethe.runs.run import OpenRun, Prepared
from fedlethe.types import ClientId, Vector
from fedlethe.unlearning import Unlearned

EarlierParts: TypeAlias = Callable[[], Sequence[Part]]
"""Gives the trainings that a run began from; opening them takes time, so only who needs them asks."""


class Learner(Protocol):
    """How clients train a model together, and how they are taken out of it again.

    There are two: `AveragingLearner` and `ClosedFormLearner`; `learner_of` says which one a run has.
    """

    @property
    def by_steps(self) -> bool:
        """Whether clients train by gradient steps, round after round; else the model is solved in one."""
        ...

    @property
    def retraining(self) -> str:
        """The name of the method that trains all again, and reads nothing that was kept of those who leave."""
        ...

    def demand_fit(self, prepared: Prepared, earlier: EarlierParts) -> tuple[str, ...]:
        """Refuse what cannot be trained on these data, or cannot go on from these trainings.

        Returns:
            The names of weights that may never move, though they are not frozen (see `demand_trainable`).

        Raises:
            FedletheError: They do not fit.
        """
        ...

    def train(
        self, prepared: Prepared, history: RunFolder, earlier: EarlierParts, evaluated: Callable[[int], bool]
    ) -> None:
        """Train from the last complete round in the folder on, each round recorded once it is complete.

        Args:
            prepared: What to train on.
            history: Where it goes, locked.
            earlier: The trainings that it began from.
            evaluated: Says after which rounds to evaluate; the last one is evaluated in any case.
        """
        ...

    def retrain(
        self, prepared: Prepared, clients: Collection[ClientId], seed: int, meter: Meter | None = None
    ) -> Vector:
        """The model of a training by these clients alone, shape (P,), from a start of its own, every choice its own.

        Args:
            prepared: The run; its data may lack some of what the clients had.
            clients: Who trains, all of them in the data.
            seed: Of the start and of all that is drawn.
            meter: Counts what it costs.
        """
        ...

    def unlearn(
        self, run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter
    ) -> Unlearned:
        """The unlearning step: the method sees the history and the retained clients, metered.

        Raises:
            FedletheError: The history lacks what the method needs, or its model is not finite.
        """
        ...

    def erasable(self, data: FederatedData, history: History) -> list[ClientId]:
        """Who can be erased from the model that a history led to."""
        ...

    def demand_erasable(self, data: FederatedData, clients: tuple[ClientId, ...]) -> None:
        """Refuse clients who cannot be erased together, whatever the method.

        Raises:
            FedletheError: One is unknown or named twice, or nobody would be left.
        """
        ...

    def patients_taken(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, tuple[str, ...]]:
        """The patients, by client, whom the method itself takes out of clients that stay."""
        ...

    def options_for(self, patients: Mapping[ClientId, tuple[str, ...]]) -> Mapping[str, Any]:
        """The method's options that name these patients; empty where the method cannot take patients out itself.

        Args:
            patients: Client to the names of its patients.
        """
        ...

    def bytes_kept(self, history: RunFolder, method: Method) -> int:
        """What the history takes on disk for this method, in bytes."""
        ...

    def revised(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, ByClass]:
        """The statistics, by client, that take the place of those from which the method takes patients out."""
        ...

    def standardisation(self, run: OpenRun) -> tuple[Array, Array] | None:
        """Mean and deviation, shape (d,) each, of the features that a linear model is of; None for other models."""
        ...
