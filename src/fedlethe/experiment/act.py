# SPDX-License-Identifier: MIT
"""An erasure request carried out: erased, audited, certified, purged. Each step is durable before the next begins.

    opened -> running -> audited -> completed      (failed: the erasure itself could not be made; it can be tried again)

A kill at any moment is gone on from by the same command: the ledger says how the request is to be carried out, and how
far that is. Nothing is purged before the new model and its certificate are in their place and in the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fedlethe.errors import FedletheError
from fedlethe.experiment.attest import attest
from fedlethe.experiment.certificate import BEFORE, FINAL, issue
from fedlethe.experiment.erasure import Erasure, done, erase_locked, erasures
from fedlethe.experiment.patients import named
from fedlethe.experiment.purge import purge
from fedlethe.experiment.remote import OutOfReach
from fedlethe.experiment.request import EMPTY, Request, request_for
from fedlethe.experiment.requests import ErasureRequest, demand_clock, find, moved, requests_of
from fedlethe.experiment.run import Run
from fedlethe.history import chain
from fedlethe.history.ledger import Ledger
from fedlethe.history.store import JSON
from fedlethe.signing import SigningKey
from fedlethe.types import ClientId

Audit: TypeAlias = Callable[[Run, Erasure, Request, int], None]
"""Audits an erasure against so many retrainings and enters the findings, once; see `attest`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a request is to be carried out, as the ledger keeps it.

    Attributes:
        method: A method or recipe.
        options: Of the method.
        mask: Fields of the mask.
        repair: Fields of Repair.
        after: The erasure to begin from; None for the trained model.
        references: Retrainings to audit against; 0 for no audit.
        keep_for: Days for which the traces are kept before they are purged.
    """

    method: str
    options: Mapping[str, Any]
    mask: Mapping[str, Any]
    repair: Mapping[str, Any]
    after: str | None = None
    references: int = 0
    keep_for: int = 0

    @classmethod
    def of(cls, *fields: Any) -> Plan:
        """A plan by its fields in their order."""
        return cls(**dict(zip(cls.__slots__, fields, strict=True)))


@dataclass(frozen=True, slots=True)
class Carried:
    """A request that was carried out.

    Attributes:
        request: As it stands.
        erasure: What was done.
        certificate: The newest certificate.
    """

    request: ErasureRequest
    erasure: Erasure
    certificate: Path


@dataclass(frozen=True, slots=True)
class Purged:
    """The purges that were due.

    Attributes:
        run: The run folder.
        carried: The requests whose purge was carried out.
        waiting: Those whose date is still to come.
    """

    run: Path
    carried: tuple[Carried, ...]
    waiting: tuple[ErasureRequest, ...]


def carry_out(run: Run, id: str, plan: Plan | None, key: SigningKey, audit: Audit = attest) -> Carried:
    """Carry a request out, or go on with one that was cut off.

    Args:
        run: The run.
        id: The request's.
        plan: How; None for the recommended way, or the way that it was begun in.
        key: Signs the certificates.
        audit: Audits the erasure.

    Raises:
        FedletheError: The request is withdrawn or begun in another way, another one is under way, or what `erase`,
            the audits or the purge raise; the request then stays where it is, or is failed.
    """
    with run.history.locked():
        request = _until_audited(run, id, plan, audit)
        if request.state != "completed":
            request = _certified(run, request, key)
        return _told(run, request)


def erase_unsigned(run: Run, id: str, plan: Plan | None, audit: Audit = attest) -> ErasureRequest:
    """Carry a request out as far as clients are needed: erased and audited, to be signed and purged by `carry_out`.

    Args:
        run: The run.
        id: The request's.
        plan: See `carry_out`.
        audit: Audits the erasure.

    Raises:
        FedletheError: See `carry_out`.
    """
    with run.history.locked():
        return _until_audited(run, id, plan, audit)


def _until_audited(run: Run, id: str, plan: Plan | None, audit: Audit) -> ErasureRequest:
    ledger = run.history.ledger
    demand_clock(ledger)
    request = find(ledger, id)
    if request.state == "withdrawn":
        raise FedletheError(f"request {id} was withdrawn on {request.since}; open another")
    if request.state == "completed":
        return request
    if request.state != "audited" and isinstance(run.remote, OutOfReach):
        raise FedletheError(
            f"{run.path}: its clients are on Flower nodes; carry it out there: "
            f'flwr run APP -c \'mode="erase" request="{id}" ...\' (docs/flower.md)'
        )
    return _erased(run, _begun(run, request, plan), audit)


def current(ledger: Ledger) -> str | None:
    """The erasure whose model is the run's: that of the request that was carried out last; None before the first."""
    carried = [request for request in requests_of(ledger).values() if request.purge is not None]
    return max((request.erasure for request in carried if request.erasure is not None), default=None)


def _begun(run: Run, request: ErasureRequest, plan: Plan | None) -> ErasureRequest:
    ledger = run.history.ledger
    others = [other for other in requests_of(ledger).values() if other.id != request.id]
    if under_way := next((other for other in others if other.state in ("running", "audited")), None):
        raise FedletheError(
            f"request {under_way.id} is {under_way.state}; finish it first: erase --request {under_way.id}"
        )
    held = None if request.plan is None else Plan(**request.plan)
    if request.state in ("opened", "failed"):
        plan = plan or held or Plan(method="recommended", options={}, mask={}, repair={})
        plan = _checked(run, request, plan)
        facts = {name: getattr(plan, name) for name in Plan.__slots__}
        return moved(ledger, request.id, "running", plan=facts)
    if plan is not None and held is not None and _checked(run, request, plan) != held:
        raise FedletheError(f"request {request.id} was begun in another way; go on with it without options")
    return request


def _checked(run: Run, request: ErasureRequest, plan: Plan) -> Plan:
    if plan.keep_for < 0 or plan.references < 0:
        raise FedletheError("--keep-for and --references must not be negative")
    if plan.keep_for and request.patients:
        raise FedletheError("--keep-for: not with patients: what is left of their client cannot be told from them")
    after = plan.after or current(run.history.ledger)
    if after != current(run.history.ledger) and current(run.history.ledger) is not None:
        raise FedletheError(f"--after {plan.after}: the run's model is that of erasure {current(run.history.ledger)}")
    plan = Plan(**{**{name: getattr(plan, name) for name in Plan.__slots__}, "after": after})
    _built(run, request, plan)
    return plan


def _built(run: Run, request: ErasureRequest, plan: Plan) -> Request:
    """What `erase` is asked for."""
    patients = named(run, request.patients)
    clients: tuple[ClientId, ...] = request.clients
    options = dict(plan.options)
    if run.config.exact is not None and patients:
        options |= {"patients": [name for names in patients.values() for name in names], "of": list(clients)}
        clients = ()
    recipe = run.config.recipe(plan.method)
    of_network = EMPTY if run.config.exact is not None else patients
    return request_for(run.config, clients, recipe, options, plan.mask, plan.repair, plan.after, patients=of_network)


def _erased(run: Run, request: ErasureRequest, audit: Audit) -> ErasureRequest:
    """The erasure itself, then its audit."""
    if request.state != "running":
        return request
    assert request.plan is not None
    plan = Plan(**request.plan)
    built = _built(run, request, plan)
    try:
        erasure = done(run, built) or erase_locked(run, built, pseudonymous=True)
    except FedletheError as error:
        with suppress(FedletheError):  # on a full disk not even that can be written
            moved(run.history.ledger, request.id, "failed", note=str(error))
        raise
    audit(run, erasure, built, plan.references)
    return moved(run.history.ledger, request.id, "audited", erasure=erasure.id)


def _certified(run: Run, request: ErasureRequest, key: SigningKey) -> ErasureRequest:
    """The certificate, the purge unless it is to wait, and the certificate that holds the purge, too."""
    assert request.erasure is not None
    assert request.plan is not None
    days = Plan(**request.plan).keep_for
    due = (dt.date.fromisoformat(request.since[:10]) + dt.timedelta(days)).isoformat() if days else None
    if not run.history.store.holds(f"erasures/{request.erasure}/{BEFORE}"):
        issue(run, request, key, BEFORE, due)
    if due is not None:
        return moved(run.history.ledger, request.id, "completed", purge=due)
    return _purged(run, request, key)


def _purged(run: Run, request: ErasureRequest, key: SigningKey) -> ErasureRequest:
    assert request.erasure is not None
    ledger = run.history.ledger
    purge(run, request, max(filter(None, (request.erasure, current(ledger)))))
    issue(run, request, key, FINAL, None)
    return moved(ledger, request.id, "completed", purge="done")


def purge_due(run: Run, key: SigningKey) -> Purged:
    """Carry out the purges that were to wait, and whose date has come; going on with one that was cut off.

    Args:
        run: The run.
        key: Signs the certificates.

    Raises:
        FedletheError: What the purge raises, or the clock is behind.
    """
    with run.history.locked():
        ledger = run.history.ledger
        demand_clock(ledger)
        today, carried, waiting = chain.clock()[:10], [], []
        for request in requests_of(ledger).values():
            newest = newest_certificate(run, request)
            finished = request.purge == "done" and newest is not None and newest.name == f"{FINAL}{JSON}"
            if request.state != "completed" or finished or request.purge is None:
                continue
            if request.purge != "done" and request.purge > today:
                waiting.append(request)
            else:
                carried.append(_told(run, _purged(run, request, key)))
        return Purged(run.path, tuple(carried), tuple(waiting))


def _told(run: Run, request: ErasureRequest) -> Carried:
    erasure = next(erasure for erasure in erasures(run) if erasure.id == request.erasure)
    certificate = newest_certificate(run, request)
    assert certificate is not None
    return Carried(request, erasure, certificate)


def newest_certificate(run: Run, request: ErasureRequest) -> Path | None:
    """The newest certificate of a request; None where there is none yet."""
    store = run.history.store
    names = (f"erasures/{request.erasure}/{name}" for name in (FINAL, BEFORE))
    return next((run.path / store.find(name).path for name in names if store.holds(name)), None)
