# SPDX-License-Identifier: MIT
"""An erasure request carried out: erased, audited, certified, purged. Each step is durable before the next begins.

    opened -> running -> audited -> completed      (failed: the erasure itself could not be made; it can be tried again)

Where the audits find the client, or a model of no use, the request stays at `audited`: nothing is certified or purged
until somebody accepts the findings, chooses another method or result, or withdraws.

After a kill at any moment the same command resumes: the ledger says how the request is to be carried out, and how far
that is. Nothing is purged before the new model and its certificate are in their place and in the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from fedlethe.entered import demand_said
from fedlethe.erasing.auditing import Attested, attest, attested
from fedlethe.erasing.order import ErasureOrder
from fedlethe.erasing.patients import refuse_known
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.erasing.secret import destroy_spent
from fedlethe.errors import RequestError
from fedlethe.history import chain
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.request_log import (
    BEGUN,
    FINDINGS,
    NOT_AUDITED,
    ErasureRequest,
    demand_clock,
    find,
    moved,
    requests_of,
)
from fedlethe.requests.certificate import demand_as_certified, is_issued, issue, newest_certificate
from fedlethe.requests.purge import purge
from fedlethe.requests.purge_checks import demand_finished, demand_keys, enter_lost
from fedlethe.requests.purge_facts import not_in_ledger, not_reached
from fedlethe.requests.purge_record import is_purged
from fedlethe.requests.request import demand_who_and_why
from fedlethe.requests.request_erasure import audited, erasure_of_request
from fedlethe.requests.request_plan import as_begun, begun, current, demand_none_under_way, order_of_request
from fedlethe.requests.signing import SigningKey, signing_key
from fedlethe.runs.past import Lineage
from fedlethe.runs.remote import OutOfReach
from fedlethe.runs.run import OpenRun

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
        not_reached: Places outside that may hold copies and that the purge did not get, a sentence each.
    """

    request: ErasureRequest
    erasure: Erasure
    certificate: Path | None
    audit: Attested | None = None
    unnamed: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()


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
    demand_who_and_why(accepted, "accepted")
    demand_who_and_why(lost, "lost")
    with run.history.locked():
        # 1. Enter that the findings are accepted, if somebody does: one row. A crash before it leaves the request
        #    stopped at `audited`; after it, any later attempt goes on without being told again.
        if accepted is not None:
            _accept(run.history, id, accepted, plan)

        # 2. to 4. Begin, erase, audit.
        request = _until_audited(run, id, plan, audit, lost)
        if request.purge != BEGUN and (request.stopped or request.state == "completed"):
            return _told(run.lineage, request)

        # 5. Sign the first certificate. A crash leaves the request at `audited`, with or without it: the same command
        #    goes on here, and never signs a second one.
        if request.purge != BEGUN:
            due = _due(request)
            _sign_first(run, request, key, due)
            if due is not None:
                return _told(run.lineage, moved(run.history.ledger, id, "completed", purge=due))

        # 6. Purge, then sign the last certificate.
        return _told(run.lineage, _purged(run, request, key))


def _enter_lost(lineage: Lineage, request: ErasureRequest, lost: Mapping[str, str]) -> None:
    for text in lost.values():
        demand_said(text, "lost")
        refuse_known("lost", text, lineage.history, request.mentions)
    enter_lost(lineage, request, lost)


def _accept(history: RunFolder, id: str, accepted: Mapping[str, str], plan: ErasurePlan | None) -> None:
    """Enter that somebody goes on in spite of what the audits found; once, and only after they found it."""
    ledger = history.ledger
    request = find(ledger, id)
    for where, name in (("accepted", "why"), ("by", "by")):
        refuse_known(where, accepted[name], history, request.mentions)
    if not request.stopped:
        none = request.verdict in (None, NOT_AUDITED)
        found = "no audit was made" if none else f"its audits found '{request.verdict}'"
        raise RequestError(f"accepted: request {id} is {request.state}, {found}; leave it out")
    if plan is not None and not as_begun(plan, request):
        raise RequestError("accepted: takes the erasure as it is; leave all other options out")
    for text in accepted.values():
        demand_said(text, "accepted")
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
    """The erasure and its audit; what was done of them before is not done again.

    Raises:
        FedletheError: See `carry_out`.
    """
    ledger = run.history.ledger
    demand_clock(ledger)
    destroy_spent(run.history)  # of an erasure that was entered, before a crash came in the way of its end
    request = find(ledger, id)
    if request.state == "withdrawn":
        raise RequestError(f"request {id} was withdrawn on {request.since}; open another")
    if request.state == "completed":
        if plan is not None and not as_begun(plan, request):
            raise RequestError(f"request {id} was completed on {request.since}, and not in this way; open another")
        return request
    anew = request.stopped and plan is not None and plan.result is None
    if (request.state != "audited" or anew) and isinstance(run.remote, OutOfReach):
        raise RequestError(
            f"{run.path}: its clients are on Flower nodes; carry it out there: "
            f'flwr run APP -c \'mode="erase" request="{id}" ...\' (docs/flower.md)'
        )

    # 2. Begin: one row holds the plan and the state `running`. A crash before it leaves the request as it was; after
    #    it, the plan is fixed, and the same command without options goes on with it.
    request = begun(run, request, plan)
    if lost is not None:
        _enter_lost(run.lineage, request, lost)
    if request.state != "running":
        return request
    assert request.plan is not None
    plan = ErasurePlan.from_dict(request.plan)
    order = order_of_request(run, request, plan)

    # 3. Erase. A crash leaves the request at `running`: an erasure that the ledger holds is taken as it is, and one
    #    that it does not hold is made again from its beginning.
    erasure = erasure_of_request(run, request, order, plan)

    # 4. Audit. A crash leaves the request at `running` and the erasure in the ledger; answers of retrainings that were
    #    written are read again, and the rest is made. So they are after an error, which leaves it at `failed`.
    asked = replace(order, after=erasure.after)
    audited(run.history, run.images, request, lambda: audit(run, erasure, asked, plan.references))
    found = attested(run.history, erasure.id)
    verdict = NOT_AUDITED if found is None else found.verdict
    known = {"verdict": verdict, "hiding": erasure.hiding, "warnings": erasure.warnings}
    return moved(ledger, id, "audited", erasure=erasure.id, **known)


def _due(request: ErasureRequest) -> str | None:
    """The date until which a request's traces are kept, counted from the audit; None where they go at once."""
    assert request.plan is not None
    days = ErasurePlan.from_dict(request.plan).keep_for
    return (dt.date.fromisoformat(request.since[:10]) + dt.timedelta(days)).isoformat() if days else None


def _sign_first(run: OpenRun, request: ErasureRequest, key: SigningKey, due: str | None) -> None:
    """The certificate before the purge, unless it is there already; after it the request cannot be withdrawn.

    Raises:
        FedletheError: What is to be signed or purged is not as it was entered, a key is missing, or a request of an
            earlier run is under way.
    """
    assert request.erasure is not None
    _demand_decided(run.history, request)
    run.history.store.find(of_erasure(request.erasure, Kind.MODEL))  # nothing is signed of a model that was removed
    demand_keys(run.lineage, request, request.erasure)
    if due is None:
        demand_finished(run.lineage, request)
    if not is_issued(run.history, request, Kind.FIRST_CERTIFICATE):
        issue(run.lineage, run.config, request, key, Kind.FIRST_CERTIFICATE, due)


def _demand_decided(history: RunFolder, request: ErasureRequest) -> None:
    """Refuse to sign or purge where the record of the audit says otherwise than the request, or nobody has decided.

    Raises:
        FedletheError: It does.
    """
    found = attested(history, request.erasure or "")
    verdict = NOT_AUDITED if found is None else found.verdict
    if verdict != request.verdict:
        raise RequestError(
            f"request {request.id}: the ledger says '{request.verdict}' of its audit, and the audit's record "
            f"'{verdict}'; nothing is signed. Restore the run from a backup"
        )
    if verdict in FINDINGS and request.accepted is None:
        raise RequestError(f"request {request.id}: its audit found '{verdict}', and nobody has accepted that")


def _purged(run: OpenRun, request: ErasureRequest, key: SigningKey) -> ErasureRequest:
    """The purge and the certificate that holds it.

    Raises:
        FedletheError: The run is not as the first certificate says, or what the purge raises.
    """
    assert request.erasure is not None
    _demand_decided(run.history, request)
    ledger = run.history.ledger
    # A purge that was to wait comes after later erasures: the model that stays is then the newest one.
    base = request.erasure if request.purge is None else current(ledger)
    assert base is not None
    if not is_purged(run.history, request.id):
        demand_as_certified(run.lineage, run.config, request, key)

    # 6a. Purge. A crash before the ledger is told leaves the request at `audited`, or waiting for its date; after that,
    #     at a purge that is BEGUN, which `erase --request` and `purge` both resume.
    purge(run, request, base)

    # 6b. Sign the last certificate. A crash leaves the purge BEGUN: it is gone through again, finds nothing to remove,
    #     and the certificate is signed if it is not there.
    if not is_issued(run.history, request, Kind.CERTIFICATE):
        issue(run.lineage, run.config, request, key, Kind.CERTIFICATE, None)

    # 6c. Enter that it is done: one row. Until then every attempt comes back to 6a.
    return moved(ledger, request.id, "completed", purge="done")


def purge_due(run: OpenRun, key: SigningKey | None, lost: Mapping[str, str] | None = None) -> Purged:
    """Carry out the purges that were to wait, and whose date has come; going on with one that was cut off.

    Args:
        run: The run.
        key: Signs the certificates; None will do where nothing is due.
        lost: See `carry_out`.

    Raises:
        FedletheError: Something is due and there is no key; what the purge raises; or the clock is behind.
    """
    demand_who_and_why(lost, "lost")
    with run.history.locked():
        ledger = run.history.ledger
        demand_clock(ledger)
        today, carried, waiting = chain.clock()[:10], [], []
        for request in requests_of(ledger).values():
            until = request.held_until
            if until is not None and until > today:
                waiting.append(request)
            elif until is not None or request.purge == BEGUN:
                signer = key or signing_key(None)
                demand_none_under_way(ledger, request.id)
                if lost is not None:
                    _enter_lost(run.lineage, request, lost)
                demand_keys(run.lineage, request, current(ledger) or "")
                demand_finished(run.lineage, request)
                carried.append(_told(run.lineage, _purged(run, request, signer)))
        unfinished = [one for one in requests_of(ledger).values() if one.state in ("running", "audited")]
        return Purged(run.path, tuple(carried), tuple(waiting), tuple(unfinished))


def _told(lineage: Lineage, request: ErasureRequest) -> Carried:
    assert request.erasure is not None
    erasure = recorded(lineage.history, request.erasure)
    found, certificate = attested(lineage.history, erasure.id), newest_certificate(lineage.history, request)
    if certificate is not None:
        lineage.history.store.demand(certificate.relative_to(lineage.history.path).as_posix())
    missed = not_reached(lineage, request) if is_purged(lineage.history, request.id) else ()
    return Carried(request, erasure, certificate, found, tuple(not_in_ledger(lineage.folders)), missed)
