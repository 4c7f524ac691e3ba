# SPDX-License-Identifier: MIT
"""The unlearning step of an erasure: the method, and what it may see."""

from __future__ import annotations

from collections.abc import Sequence

from fedlethe.config.learning import Method
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.patients import retrained_without_patients, who_trains_on
from fedlethe.federation.metered import Meter, metered
from fedlethe.history.history import History
from fedlethe.learners.which import learner_of
from fedlethe.runs.run import OpenRun
from fedlethe.types import START, ClientId
from fedlethe.unlearning import Unlearned
from fedlethe.unlearning.method import retrains_from


def unlearned_by(run: OpenRun, forget: Sequence[ClientId], method: Method, history: History, meter: Meter) -> Unlearned:
    """The unlearning step alone: the method sees the history and the retained clients, metered.

    Raises:
        FedletheError: The history lacks what the method needs, or its model is not finite.
    """
    return learner_of(run.config).unlearn(run, forget, method, history, meter)


def unlearned_for(run: OpenRun, request: ErasureOrder, history: History, meter: Meter) -> Unlearned:
    """The unlearning step of an order; see `unlearned_by`.

    Where patients leave, retraining keeps their clients with their other patients. Any other method takes the clients
    out as a whole, since it cannot tell a patient's part of their updates, and they come back in the repair.
    """
    if not (request.patients and retrains_from(request.method) == START):
        return unlearned_by(run, request.forget, request.method, history, meter)
    federation = metered(who_trains_on(run, history, request.forget, request.patients), meter)
    return retrained_without_patients(request.method, request.forget, request.patients, history, federation)
