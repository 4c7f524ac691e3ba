# SPDX-License-Identifier: MIT
"""An erasure request carried out: erased, audited, certified, purged. Each step is durable before the next begins.

    opened -> running -> audited -> completed      (failed: the erasure itself could not be made; it can be tried again)

Where the audits find the client, or a model of no use, the request stays at `audited`: nothing is certified or purged
until somebody accepts the findings, chooses another method or result, or withdraws.

A kill at any moment is gone on from by the same command: the ledger says how the request is to be carried out, and how
far that is. Nothing is purged before the new model and its certificate are in their place and in the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from fedlethe.entered import demand_said
from fedlethe.erasing.auditing import Attested, attest, attested, demand_references
from fedlethe.erasing.erase import erase_locked
from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.patients import demand_trained_on, names_of, refuse_known, unnamed
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure, done, erasures, recorded
from fedlethe.erasing.secret import destroy_spent
from fedlethe.errors import FedletheError, RequestError
from fedlethe.history import chain
from fedlethe.history.ledger import Ledger
from fedlethe.history.request_log import (
    BEGUN,
    FINDINGS,
    NOT_AUDITED,
    ErasureRequest,
    demand_clock,
    find,
    findings_about,
    moved,
    requests_of,
)
from fedlethe.later import torch
from fedlethe.requests.certificate import BEFORE, FINAL, demand_as_certified, issue, not_in_ledger
from fedlethe.requests.purge import purge
from fedlethe.requests.purge_checks import demand_finished, demand_keys, enter_lost
from fedlethe.requests.purge_record import is_purged
from fedlethe.requests.signing import SigningKey
from fedlethe.runs.lineage import held_by, models_holding, up_to
from fedlethe.runs.remote import OutOfReach
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId
from fedlethe.unlearning.retrain import Retrain
from fedlethe.unlearning.rollback import Rollback

AuditStep: TypeAlias = Callable[[OpenRun, Erasure, ErasureOrder, int], None]
"""Audits an erasure against so many retrainings and enters the findings, once; see `attest`."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A request that was carried out.

    Attributes:
        request: As it stands.
        erasure: What was done.
        certificate: The newest certificate; None where the request stopped at what the audits found.
        audit: What they found; None where it was not audited.
        unnamed: What lies in the run folders and is in no ledger, as it was looked up now; see `not_in_ledger`.
    """

    request: ErasureRequest
    erasure: Erasure
    certificate: Path | None
    audit: Attested | None = None
    unnamed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purged:
    """The purges that were due.

    Attributes:
        run: The run folder.
        carried: The requests whose purge was carried out.
        waiting: Those whose date is still to come.
        unfinished: Requests that are half carried out, of which nothing is due yet.
    """

    run: Path
    carried: tuple[Carried, ...]
    waiting: tuple[ErasureRequest, ...]
    unfinished: tuple[ErasureRequest, ...] = ()


def carry_out(
    run: OpenRun,
    id: str,
    plan: ErasurePlan | None,
    key: SigningKey,
    audit: AuditStep = attest,
    accepted: Mapping[str, str] | None = None,
    lost: Mapping[str, str] | None = None,
) -> Carried:
    """Carry a request out, or go on with one that was cut off or that stopped.

    Args:
        run: The run.
        id: The request's.
        plan: How; None for the recommended way, or the way that it was begun in.
        key: Signs the certificates.
        audit: Audits the erasure.
        accepted: Who goes on in spite of what the audits found ('by'), and why ('why'); None where nobody does.
        lost: Who says that keys that are to be destroyed and cannot be found are lost, and why; None where nobody does.

    Raises:
        FedletheError: The request is withdrawn or begun in another way, another one is under way, or what `erase`,
            the audits or the purge raise; the request then stays where it is, or is failed.
    """
    with run.history.locked():
        if accepted is not None:
            mentions = find(run.history.ledger, id).mentions
            for flag, name in (("--accept-findings", "why"), ("--by", "by")):
                refuse_known(flag, accepted[name], run.history, mentions)
            _accept(run.history.ledger, id, accepted, plan)
        request = _until_audited(run, id, plan, audit, lost)
        if request.purge == BEGUN:  # a kill came in the middle of it
            request = _purged(run, request, key)
        elif request.state != "completed" and not request.stopped:
            request = _certified(run, request, key)
        return _told(run, request)


def _enter_lost(run: OpenRun, request: ErasureRequest, lost: Mapping[str, str]) -> None:
    for text in lost.values():
        demand_said(text, "--lost-keys")
        refuse_known("--lost-keys", text, run.history, request.mentions)
    enter_lost(run, request, lost)


def _accept(ledger: Ledger, id: str, accepted: Mapping[str, str], plan: ErasurePlan | None) -> None:
    """Enter that somebody goes on in spite of what the audits found; once, and only after they found it."""
    request = find(ledger, id)
    if not request.stopped:
        none = request.verdict in (None, NOT_AUDITED)
        found = "no audit was made" if none else f"its audits found '{request.verdict}'"
        raise RequestError(f"--accept-findings: request {id} is {request.state}, {found}; leave it out")
    if plan is not None and not _as_begun(plan, request):
        raise RequestError("--accept-findings: takes the erasure as it is; leave all other options out")
    for text in accepted.values():
        demand_said(text, "--accept-findings")
    moved(ledger, id, "audited", accepted=dict(accepted))


def erase_unsigned(run: OpenRun, id: str, plan: ErasurePlan | None, audit: AuditStep = attest) -> ErasureRequest:
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


def _until_audited(
    run: OpenRun, id: str, plan: ErasurePlan | None, audit: AuditStep, lost: Mapping[str, str] | None = None
) -> ErasureRequest:
    ledger = run.history.ledger
    demand_clock(ledger)
    destroy_spent(run.history)
    request = find(ledger, id)
    if request.state == "withdrawn":
        raise RequestError(f"request {id} was withdrawn on {request.since}; open another")
    if request.state == "completed":
        if plan is not None and not _as_begun(plan, request):
            raise RequestError(f"request {id} was completed on {request.since}, and not in this way; open another")
        return request
    anew = request.stopped and plan is not None and plan.result is None
    if (request.state != "audited" or anew) and isinstance(run.remote, OutOfReach):
        raise RequestError(
            f"{run.path}: its clients are on Flower nodes; carry it out there: "
            f'flwr run APP -c \'mode="erase" request="{id}" ...\' (docs/flower.md)'
        )
    request = _begun(run, request, plan)
    if lost is not None:
        _enter_lost(run, request, lost)
    return _erased(run, request, audit)


def _as_begun(plan: ErasurePlan, request: ErasureRequest) -> bool:
    """Whether a plan is the one that a request was carried out by; what it leaves open counts as that one's."""
    if request.plan is None:
        return False
    held = ErasurePlan.from_dict(request.plan)
    return held == replace(plan, after=plan.after or held.after, references=plan.references or held.references)


def current(ledger: Ledger) -> str | None:
    """The erasure whose model is the run's: that of the request that was certified last; None before the first."""
    known, last = requests_of(ledger), dict[str, None]()
    for event in ledger.events("state", "purge"):
        if event.kind == "purge" or event.body.get("purge") is not None:
            last.setdefault(event.body["request"])  # a purge that was to wait does not make an old model the newest
    carried = [known[id].erasure for id in last if id in known]
    return carried[-1] if carried else None


def _begun(run: OpenRun, request: ErasureRequest, plan: ErasurePlan | None) -> ErasureRequest:
    ledger = run.history.ledger
    anew = request.stopped and plan is not None and plan != ErasurePlan.from_dict(request.plan or {})
    _demand_none_under_way(ledger, request.id)
    held = None if request.plan is None else ErasurePlan.from_dict(request.plan)
    if request.state in ("opened", "failed") or anew:
        plan = plan or held or ErasurePlan()
        if anew and held is not None and not plan.references:  # what audits found is not got rid of by not asking
            plan = replace(plan, references=held.references)
        plan = _checked(run, request, plan)
        return moved(ledger, request.id, "running", plan=plan.to_dict())
    if plan is not None and held is not None and not _as_begun(plan, request):
        raise RequestError(f"request {request.id} was begun in another way; go on with it without options")
    return request


def _demand_none_under_way(ledger: Ledger, id: str) -> None:
    """Refuse to begin or to purge where another request is half carried out: its model would be missing, or go."""
    for other in requests_of(ledger).values():
        if other.id != id and other.state in ("running", "audited"):
            raise RequestError(f"request {other.id} is {other.state}; finish it first: erase --request {other.id}")


def _checked(run: OpenRun, request: ErasureRequest, plan: ErasurePlan) -> ErasurePlan:
    if plan.keep_for < 0:
        raise RequestError("--keep-for must not be negative")
    demand_references(plan.references)
    if not plan.references and (found := findings_about(run.history.ledger, request.clients)):
        last = found[-1]
        raise RequestError(
            f"request {request.id}: an audit found erasure {last['erasure']} '{last['verdict']}' (request "
            f"{last['request']}), so another one is audited, too: add --references N"
        )
    if {"patients", "of"} & set(plan.options):
        raise RequestError("--set patients: who is erased is in the request; leave it out")
    if plan.references:
        demand_trained_on(run, request.patients)
    if plan.keep_for and request.patients:
        raise RequestError("--keep-for: not with patients: what is left of their client cannot be told from them")
    now = current(run.history.ledger)
    after = plan.after or now
    if after != now and now is not None:
        raise RequestError(f"--after {plan.after}: the run's model is that of erasure {now}")
    if plan.result is not None:
        _demand_result(run, request, plan.result)
        return plan
    plan = replace(plan, after=after)
    _demand_no_retraining_beside(run, request, _built(run, request, plan))
    return plan


def _demand_no_retraining_beside(run: OpenRun, request: ErasureRequest, order: ErasureOrder) -> None:
    """Refuse a method that leaves something of the clients in the model where a model without them stays beside it.

    The two share what the retained clients did, so their difference would tell what is left of the erased ones.

    Raises:
        RequestError: There is such a model; it can be the request's result.
    """
    if run.config.exact is not None or request.patients or isinstance(order.method, (Retrain, Rollback)):
        return
    asked = frozenset(request.clients)
    holding = models_holding(run.history, run.earlier, asked)
    free = [one for one in erasures(run) if asked <= set(one.forget) and one.id not in holding and one.model.exists()]
    if free:
        same = next((one.id for one in reversed(free) if set(one.forget) == asked and one.after == order.after), None)
        take = "" if same is None else f"take it as the result: --result {same}, or "
        raise RequestError(
            f"request {request.id}: the model of erasure {same or free[-1].id} was made without {request.subject}, and "
            f"stays; beside it the model of '{order.method_name}' would tell what that leaves of them: {take}train "
            "again: --method retrain"
        )


def _demand_result(run: OpenRun, request: ErasureRequest, id: str) -> None:
    """Refuse an erasure that cannot be the result of a request: of others, or of a model that another request left."""
    record = recorded(run, id)
    if (record.forget, {client: tuple(names) for client, names in record.patients.items()}) != (
        request.clients,
        {client: tuple(names) for client, names in request.patients.items()},
    ):
        raise RequestError(f"--result {id}: is the erasure of {record.subject}, not of {request.subject}")
    done_before = {
        client
        for other in requests_of(run.history.ledger).values()
        if other.purge is not None and other.id != request.id
        for client in set(other.clients) - set(other.patients)
    }
    if left := sorted(done_before & held_by([*run.earlier, up_to(run.history, id)])):
        now = current(run.history.ledger)
        raise RequestError(f"--result {id}: its model may hold {', '.join(left)}, erased since; begin from {now}")


def _built(run: OpenRun, request: ErasureRequest, plan: ErasurePlan) -> ErasureOrder:
    """What `erase` is asked for."""
    patients = names_of(run, request.patients)
    clients: tuple[ClientId, ...] = request.clients
    options = dict(plan.options)
    if run.config.exact is not None and patients:
        options |= {"patients": [name for names in patients.values() for name in names], "of": list(clients)}
        clients = ()
    of_network = {} if run.config.exact is not None else patients
    built = order_for(run.config, clients, replace(plan, options=options), of_network)
    return replace(built, act=request.id)


def _erased(run: OpenRun, request: ErasureRequest, audit: AuditStep) -> ErasureRequest:
    """The erasure itself, then its audit."""
    if request.state != "running":
        return request
    assert request.plan is not None
    plan = ErasurePlan.from_dict(request.plan)
    built = _built(run, request, plan)
    try:
        chosen = None if plan.result is None else recorded(run, plan.result)
        erasure = chosen or done(run, built) or erase_locked(run, built)
    except FedletheError as caught:
        error = _with_a_way_out(run, request, plan, caught)
        with suppress(FedletheError):  # on a full disk not even that can be written
            moved(run.history.ledger, request.id, "failed", note=unnamed(run, request.patients, str(error)))
        raise error from None
    _demand_another_model(run, request, erasure)
    audit(run, erasure, replace(built, after=erasure.after), plan.references)
    found = attested(run, erasure.id)
    verdict = NOT_AUDITED if found is None else found.verdict
    return moved(run.history.ledger, request.id, "audited", erasure=erasure.id, verdict=verdict, hiding=erasure.hiding)


def _with_a_way_out(run: OpenRun, request: ErasureRequest, plan: ErasurePlan, error: FedletheError) -> FedletheError:
    """The error, and where a key of the erased is missing and a method was to read what it sealed, the way without."""
    keys = run.history.store.keys
    lost = any(keys.missing(client, keys.living(client)) for client in request.clients)
    if not lost or run.config.exact is not None or plan.method == "retrain":
        return error
    way = f'fedlethe erase {run.path} --request {request.id} --method retrain --lost-keys "why"'
    return RequestError(f"{error}. If the key is lost for good, retraining needs nothing of it: {way}")


def _demand_another_model(run: OpenRun, request: ErasureRequest, erasure: Erasure) -> None:
    """Refuse an erasure that left the model as it was, bit for bit, where nothing is certain of it."""
    if erasure.guarantee is None and torch.equal(run.past(erasure.after).final(), run.history.erased_model(erasure.id)):
        error = (
            f"erasure {erasure.id}: the model after is the model before, so nothing was erased; choose another method"
        )
        moved(run.history.ledger, request.id, "failed", note=error)
        raise RequestError(error)


def _certified(run: OpenRun, request: ErasureRequest, key: SigningKey) -> ErasureRequest:
    """The certificate, the purge unless it is to wait, and the certificate that holds the purge, too."""
    assert request.erasure is not None
    assert request.plan is not None
    _demand_decided(run, request)
    run.history.store.find(f"erasures/{request.erasure}/model")  # nothing is signed of a model that was removed
    days = ErasurePlan.from_dict(request.plan).keep_for
    due = (dt.date.fromisoformat(request.since[:10]) + dt.timedelta(days)).isoformat() if days else None
    demand_keys(run, request, request.erasure)
    if due is None:
        demand_finished(run, request)
    if not run.history.store.holds(f"erasures/{request.erasure}/{BEFORE}"):
        issue(run, request, key, BEFORE, due)
    if due is not None:
        return moved(run.history.ledger, request.id, "completed", purge=due)
    return _purged(run, request, key)


def _demand_decided(run: OpenRun, request: ErasureRequest) -> None:
    """Refuse to sign or purge where the record of the audit says otherwise than the request, or nobody has decided.

    Raises:
        FedletheError: It does.
    """
    found = attested(run, request.erasure or "")
    verdict = NOT_AUDITED if found is None else found.verdict
    if verdict != request.verdict:
        raise RequestError(
            f"request {request.id}: the ledger says '{request.verdict}' of its audit, and the audit's record "
            f"'{verdict}'; nothing is signed. Restore the run from a backup"
        )
    if verdict in FINDINGS and request.accepted is None:
        raise RequestError(f"request {request.id}: its audit found '{verdict}', and nobody has accepted that")


def _purged(run: OpenRun, request: ErasureRequest, key: SigningKey) -> ErasureRequest:
    assert request.erasure is not None
    _demand_decided(run, request)
    ledger = run.history.ledger
    base = request.erasure if request.purge is None else current(ledger)
    assert base is not None
    if not is_purged(run.history, request.id):
        demand_as_certified(run, request, key)
    purge(run, request, base)
    if not run.history.store.holds(f"erasures/{request.erasure}/{FINAL}"):  # there already where a kill came after it
        issue(run, request, key, FINAL, None)
    return moved(ledger, request.id, "completed", purge="done")


def purge_due(run: OpenRun, key: SigningKey, lost: Mapping[str, str] | None = None) -> Purged:
    """Carry out the purges that were to wait, and whose date has come; going on with one that was cut off.

    Args:
        run: The run.
        key: Signs the certificates.
        lost: See `carry_out`.

    Raises:
        FedletheError: What the purge raises, or the clock is behind.
    """
    with run.history.locked():
        ledger = run.history.ledger
        demand_clock(ledger)
        today, carried, waiting = chain.clock()[:10], [], []
        for request in requests_of(ledger).values():
            until = request.held_until
            if until is not None and until > today:
                waiting.append(request)
            elif until is not None or request.purge == BEGUN:
                _demand_none_under_way(ledger, request.id)
                if lost is not None:
                    _enter_lost(run, request, lost)
                demand_keys(run, request, current(ledger) or "")
                demand_finished(run, request)
                carried.append(_told(run, _purged(run, request, key)))
        unfinished = [one for one in requests_of(ledger).values() if one.state in ("running", "audited")]
        return Purged(run.path, tuple(carried), tuple(waiting), tuple(unfinished))


def _told(run: OpenRun, request: ErasureRequest) -> Carried:
    assert request.erasure is not None
    erasure = recorded(run, request.erasure)
    found, certificate = attested(run, erasure.id), newest_certificate(run, request)
    if certificate is not None:
        run.history.store.demand(certificate.relative_to(run.path).as_posix())
    return Carried(request, erasure, certificate, found, tuple(not_in_ledger(run)))


def newest_certificate(run: OpenRun, request: ErasureRequest) -> Path | None:
    """The newest certificate of a request; None where there is none yet."""
    store = run.history.store
    names = (f"erasures/{request.erasure}/{name}" for name in (FINAL, BEFORE))
    return next((run.path / store.find(name).path for name in names if store.holds(name)), None)
