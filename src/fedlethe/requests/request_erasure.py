# SPDX-License-Identifier: MIT
"""The erasure that carries a request out, named, there already, or new, and its audit; what fails is entered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from fedlethe.config import RunConfig
from fedlethe.data.federated import FederatedData
from fedlethe.erasing.erase import erase_locked
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.patients import unnamed
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure, done, recorded
from fedlethe.errors import FedletheError, RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import ErasureRequest, moved
from fedlethe.later import torch
from fedlethe.learners.which import learner_of
from fedlethe.requests.alone import INITIAL, leaves_something, model_that_tells
from fedlethe.requests.told import what_stays_tells
from fedlethe.runs.past import Lineage
from fedlethe.runs.run import OpenRun
from fedlethe.types import Need


def erasure_of_request(run: OpenRun, request: ErasureRequest, order: ErasureOrder, plan: ErasurePlan) -> Erasure:
    """The erasure of a request: the one that the plan names, the one that was made before a crash, or a new one.

    Args:
        run: The run, locked.
        request: The request, which is running.
        order: What `erase` is asked for.
        plan: The plan that the request was begun with.

    Raises:
        FedletheError: It cannot be made, or left the model as it was; the request is then failed.
    """
    try:
        chosen = None if plan.result is None else recorded(run.history, plan.result)
        erasure = chosen or done(run.history, order) or erase_locked(run, order)
        _demand_another_model(run.lineage, request, erasure)
        _demand_others_in(run.lineage, request, erasure)
    except FedletheError as caught:
        error = _with_a_way_out(run.config, run.history, request, order, caught)
        _enter_failed(run.history, run.images, request, error)
        raise error from None
    return erasure


def audited(history: RunFolder, images: FederatedData, request: ErasureRequest, audit: Callable[[], None]) -> None:
    """Audit a request's erasure, which stays in the run, and is found again, where that cannot be done.

    Args:
        history: The run folder, locked.
        images: The run's.
        request: The request, which is running.
        audit: Audits it.

    Raises:
        FedletheError: It cannot be audited; the request is then failed, and can be carried out in another way.
    """
    try:
        audit()
    except FedletheError as error:
        _enter_failed(history, images, request, error)
        raise


def _enter_failed(history: RunFolder, images: FederatedData, request: ErasureRequest, error: FedletheError) -> None:
    with suppress(FedletheError):  # on a full disk not even that can be written
        note = unnamed(images, history.store.keys, request.patients, str(error))
        moved(history.ledger, request.id, "failed", note=note)


def _with_a_way_out(
    config: RunConfig, history: RunFolder, request: ErasureRequest, order: ErasureOrder, error: FedletheError
) -> FedletheError:
    """The error, and where a key of the erased is missing and a method was to read what it sealed, the way without."""
    keys = history.store.keys
    lost = any(keys.missing(client, keys.living(client)) for client in request.clients)
    retraining = learner_of(config).retraining
    if not lost or order.method_name == retraining:
        return error
    way = f'fedlethe erase {history.path} --request {request.id} --method {retraining} --lost-keys "why"'
    return RequestError(f"{error}. If the key is lost for good, retraining needs nothing of it: {way}")


def _demand_another_model(lineage: Lineage, request: ErasureRequest, erasure: Erasure) -> None:
    """Refuse an erasure that left the model as it was, bit for bit, where nothing is certain of it."""
    if erasure.guarantee is not None:
        return
    if torch.equal(lineage.past(erasure.after).final(), lineage.history.erased_model(erasure.id)):
        raise RequestError(
            f"erasure {erasure.id}: the model after is the model before, so nothing was erased; choose another method"
        )


def _demand_others_in(lineage: Lineage, request: ErasureRequest, erasure: Erasure) -> None:
    """Refuse an erasure beside whose model one that stays tells what the erased put in (see `alone`, `told`)."""
    parts, departure = lineage.parts(erasure.id), replace(request, erasure=erasure.id)
    tells = model_that_tells(parts, departure)
    if tells is not None:
        # Where nobody else took part in any round, there is nothing to train again.
        retrain = "" if tells == INITIAL else ", or train again, by the method 'retrain'"
        raise RequestError(
            f"erasure {erasure.id}: nobody who stays trained since {tells}, which stays, so the model after less that "
            f"one would tell what {request.subject} put in; have it repaired for 1 round{retrain}"
        )
    if not leaves_something(lineage.history, erasure.id):
        return
    measured = what_stays_tells(lineage.history, parts, departure, erasure.id)
    if measured is not None and measured.fails:
        ways = []
        # Where nobody else took part in a round, there is nothing to train again.
        if erasure.retraining_examples:
            ways.append("the method 'retrain'")
        if Need.INFLUENCE in lineage.past(erasure.after).keep:
            ways.append("the method 'influence' with a scale of 1")
        ways += ["more rounds of repair"] if ways else ["more rounds of repair", "a new training without it"]
        if measured.waiting:
            ways.append(f"to wait for the purge of {', '.join(measured.waiting)}, whose files stay until then")
        raise RequestError(
            f"erasure {erasure.id}: the models that stay tell all but {measured.apart:.0%} of what {request.subject} "
            f"put in, since the others put in too little; what may help is {', or '.join(ways)}"
        )
