# SPDX-License-Identifier: MIT
"""The closed-form federation: clients send statistics once, the server solves; a client leaves by subtraction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.choices import weights_of
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config.learning import CLOSED_FORM, Method
from fedlethe.data.federated import FederatedData
from fedlethe.federation.metered import Meter
from fedlethe.history.disk import RunFolder
from fedlethe.history.history import History
from fedlethe.learners import patients_out, statistics_training, subtracting
from fedlethe.learners.learner import EarlierParts
from fedlethe.learners.sums_left import sums_of
from fedlethe.privacy.accounting import Array
from fedlethe.runs.run import OpenRun, Prepared
from fedlethe.types import ClientId, Vector
from fedlethe.unlearning import Unlearned


@dataclass(frozen=True, slots=True)
class ClosedFormLearner:
    """Ridge regression of features, solved from sums; see `Learner` for what each function is for."""

    @property
    def by_steps(self) -> bool:
        """See `Learner.by_steps`."""
        return False

    @property
    def retraining(self) -> str:
        """See `Learner.retraining`: to subtract is to retrain, and reads the statistics of those who leave."""
        return CLOSED_FORM

    def demand_fit(self, prepared: Prepared, earlier: EarlierParts) -> tuple[str, ...]:
        """See `Learner.demand_fit`: earlier trainings must be closed-form ones of the same features."""
        statistics_training.demand_fitting(prepared, earlier())
        return ()

    def train(
        self, prepared: Prepared, history: RunFolder, earlier: EarlierParts, evaluated: Callable[[int], bool]
    ) -> None:
        """See `Learner.train`: there is one round, which is the last."""
        if not history.rounds:
            statistics_training.train_closed_form(prepared, history, earlier())

    def retrain(
        self, prepared: Prepared, clients: Collection[ClientId], seed: int, meter: Meter | None = None
    ) -> Vector:
        """See `Learner.retrain`: the statistics have one solution, so that no seed changes it and no client trains."""
        return statistics_training.retrain_closed_form(prepared, clients)

    def unlearn(
        self, run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter
    ) -> Unlearned:
        """See `Learner.unlearn` and `subtracting.subtract`."""
        return subtracting.subtract(run, forget, _subtraction(method), history, meter)

    def erasable(self, data: FederatedData, history: History) -> list[ClientId]:
        """Anybody of the history: it takes their statistics, which are kept, and not their images."""
        return list(history.clients)

    def demand_erasable(self, data: FederatedData, clients: tuple[ClientId, ...]) -> None:
        """Nothing: clients may be gone from the data, and `unlearn` refuses where nobody would be left."""

    def patients_taken(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, tuple[str, ...]]:
        """See `Learner.patients_taken`."""
        return patients_out.patients_by_client(run, _subtraction(method), history)

    def options_for(self, patients: Mapping[ClientId, tuple[str, ...]]) -> Mapping[str, Any]:
        """See `Learner.options_for` and `Subtraction`."""
        if not patients:
            return {}
        return {"patients": [name for names in patients.values() for name in names], "of": list(patients)}

    def bytes_kept(self, history: RunFolder, method: Method) -> int:
        """Those of the statistics."""
        return sum(held.bytes for held in history.ledger.artefacts().values() if held.kind == "statistics")

    def revised(self, run: OpenRun, method: Method, history: History) -> Mapping[ClientId, ByClass]:
        """See `Learner.revised`."""
        return subtracting.revised(run, _subtraction(method), history)

    def standardisation(self, run: OpenRun) -> tuple[Array, Array]:
        """Of the features over all clients of the training, a row weighted as the training weighted it."""
        sums = sums_of(run.parts()).total
        settings = statistics_training.closed_form_settings(run.config, run.data)
        statistics = sums.weighted(weights_of(sums.rows, settings))
        rows = float(statistics.weights.sum())
        mean = statistics.sums / rows
        variance = np.maximum(statistics.diagonal() / rows - mean**2, 0.0)  # rounding can leave it below 0
        deviation = np.sqrt(variance)
        # A feature that never varies is left as it is: any scale does, and 0 could not be divided by.
        return mean, np.where(deviation > 0, deviation, 1.0)


def _subtraction(method: Method) -> Subtraction:
    """The method, which `RunConfig.method` makes no other for a run in closed form."""
    assert isinstance(method, Subtraction)
    return method
