# SPDX-License-Identifier: MIT
"""What the commands about requests, certificates, keys and the ledger have found, on stdout; see `show`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from rich.table import Column, Table

from fedlethe.cli.output.show import as_object, lines_of, object_of, show, tables
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.request_log import BEGUN, ErasureRequest, Requests
from fedlethe.requests.carry_out import Carried, Purged
from fedlethe.requests.signing import NewKey
from fedlethe.requests.verify import Verified

KEY = "erasure.key"
"""The signing key's file in the commands that are told: the one that the examples make."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """A request, and the run folder that it is of: what is told of it is to be copied."""

    run: Path
    request: ErasureRequest


def show_verified(result: Verified, as_json: bool) -> None:
    """Print what was checked; leave with an error where something does not hold."""
    show(result, as_json)
    if result.failed:
        first, *others = result.failed
        more = f" (and {len(others)} more)" if others else ""
        raise FedletheError(f"{result.subject}: {first.what}: {first.words}{more}")


@object_of.register
def _(result: Carried) -> dict[str, Any]:
    return {
        "request": as_object(result.request),
        "erasure": as_object(result.erasure),
        "model": result.erasure.model,
        "certificate": result.certificate,
        "verdict": result.request.verdict,
        "stopped": result.request.stopped,
        "audit": None if result.audit is None else dataclasses.asdict(result.audit),
        "unnamed": list(result.unnamed),
    }


@object_of.register
def _(result: ErasureRequest) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "overdue": result.overdue, "stopped": result.stopped}


@object_of.register
def _(result: Requests) -> dict[str, Any]:
    requests = [as_object(request) for request in result.requests]
    return {"run": result.run, "requests": requests, "problems": list(result.problems)}


@object_of.register
def _(result: Purged) -> dict[str, Any]:
    return {
        "run": result.run,
        "carried": [as_object(one.request) for one in result.carried],
        "unnamed": sorted({words for one in result.carried for words in one.unnamed}),
        "waiting": [as_object(request) for request in result.waiting],
    }


@object_of.register
def _(result: Verified) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "holds": not result.failed}


@object_of.register
def _(result: OfRun) -> dict[str, Any]:
    return as_object(result.request)


@lines_of.register
def _(result: OfRun) -> Iterable[Table | str]:
    request = result.request
    if request.namesakes:
        yield (
            f"a patient of this name has images at {', '.join(request.namesakes)}, too, which this request leaves "
            "there; if it is the same person, open a request for each"
        )
    yield from _listed(f"Request {request.id}", [request], result.run)
    if request.state == "opened":
        yield f"to carry it out, with the key that signs certificates (fedlethe key new {KEY}):"
        yield f"  {_erase(result.run, request.id)}"


@lines_of.register
def _(result: Requests) -> Iterable[Table | str]:
    yield from (f"PROBLEM: {words}; restore it from a backup" for words in result.problems)
    yield from _listed(f"{result.run}: erasure requests", result.requests, result.run)


@lines_of.register
def _(result: Carried) -> Iterable[Table | str]:
    left = f"; {_count(result.unnamed)} left in the run folder" if result.unnamed else ""
    yield _first_line(result.request) + left
    yield from _unnamed(result.unnamed)
    yield from tables(result.erasure)
    if result.audit is not None:
        table = Table("audit", "verdict", "why", title=f"Against {result.audit.references} retrainings")
        for finding in result.audit.findings:
            table.add_row(finding.audit, finding.verdict, finding.statement)
        yield table
    if result.request.stopped:
        run, method = result.erasure.run, result.erasure.method
        yield from (f"to go on, {way}" for way in _ways_on(run, result.request.id, method))
        return
    yield f"request {result.request.id}: {result.request.state}; purge: {_purge(result.request, result.erasure.run)}"
    yield f"certificate: {result.certificate}"


def _first_line(request: ErasureRequest) -> str:
    """What became of a request, and what the audits said."""
    if request.stopped:
        found = {"still there": "the audits found the client", "not useful": "the audits found the model of no use"}
        told = found.get(request.verdict or "", request.verdict)
        return f"STOPPED: {told} ('{request.verdict}'); nothing was certified or purged of request {request.id}"
    accepted = "" if request.accepted is None else f", accepted by {request.accepted['by']}: {request.accepted['why']}"
    return f"request {request.id}: {request.subject} erased; audit: {request.verdict}{accepted}"


def _purge(request: ErasureRequest, run: Path) -> str:
    """How far the purge is, and the command that carries it out where it is due."""
    if request.held_until is None or request.held_until > chain.clock()[:10]:
        return request.purge or "-"
    return f"due since {request.held_until}, and not made: {_purge_command(run)}"


def _purge_command(run: Path) -> str:
    return f"fedlethe purge {quote(str(run))} --key {KEY}"


def _erase(run: Path, id: str) -> str:
    return f"fedlethe erase {quote(str(run))} --request {id} --key {KEY}"


def _unnamed(found: Iterable[str]) -> Iterable[str]:
    """What fedlethe did not touch, since it does not know what it is."""
    listed = sorted(set(found))
    if listed:
        yield f"{_count(listed)} left in the run folder, as copies of what was erased could be; see what they are:"
        yield from (f"  {words}" for words in listed)


def _count(found: Iterable[str]) -> str:
    count = len(set(found))
    return "1 entry that no ledger names was" if count == 1 else f"{count} entries that no ledger names were"


def _ways_on(run: Path, id: str, method: str) -> tuple[str, ...]:
    erase = _erase(run, id)
    retrained = method in ("closed-form", "retrain")
    other = "with more retrainings" if retrained else "by another method, such as retraining"
    return (
        f"{other}: {erase} {'--references 10' if retrained else '--method retrain'}",
        f'as it is, which stays on record: {erase} --accept-findings "why"',
        f'or not at all: fedlethe withdraw {quote(str(run))} {id} --reason "why"',
    )


@lines_of.register
def _(result: Purged) -> Iterable[Table | str]:
    if result.carried:
        yield from _listed("Purged", [one.request for one in result.carried], result.run)
        yield from _unnamed(words for one in result.carried for words in one.unnamed)
    else:
        yield "no purge is due"
    yield from (f"{one.id}: {one.state}, not finished: {_erase(result.run, one.id)}" for one in result.unfinished)
    yield from (f"{request.id}: kept until {request.purge}" for request in result.waiting)


@lines_of.register
def _(result: Verified) -> Iterable[Table | str]:
    kept = [check for check in result.checks if check.result == "not checked"]
    failed = "; ".join(f"{check.what}: {check.words}" for check in result.failed)
    said = "".join(f"; {check.words}" for check in result.checks if check.what == "statement")
    yield f"DOES NOT HOLD: {failed}" if failed else f"holds{said}; {len(kept)} of {len(result.checks)} not checked"
    table = Table("what", "result", "", title=str(result.subject))
    for check in result.checks:
        table.add_row(check.what, check.result, check.words)
    yield table


@lines_of.register
def _(result: NewKey) -> Iterable[Table | str]:
    yield f"signing key: {result.private} (yours alone)"
    yield f"public key: {result.public} (for who checks certificates)"
    yield f"id: {result.id}"


def _listed(title: str, requests: Sequence[ErasureRequest], run: Path) -> Iterable[Table | str]:
    names = ("id", "clients", "state", "deadline", "erasure", "audit", "purge")
    table = Table(*(Column(name, overflow="fold", no_wrap=name != "clients") for name in names), title=title)
    for request in requests:
        purge = f"{BEGUN}: was cut off" if request.purge == BEGUN else request.purge or "-"
        done = (request.erasure or "-", request.verdict or "-", purge)
        table.add_row(request.id, request.subject, request.state, request.deadline, *done)
    yield table
    for request in requests:
        late = ["overdue"] if request.overdue else []
        if request.purge == BEGUN:
            late.append("its purge was cut off, and files of the erased may be there: " + _purge_command(run))
        elif request.held_until is not None and request.held_until <= chain.clock()[:10]:
            late.append(f"its purge is due since {request.held_until}: {_purge_command(run)}")
        stopped = ["stopped at what the audits found: decide how to go on"] if request.stopped else []
        yield f"{request.id}: {'; '.join([request.reason, *filter(None, [request.note]), *late, *stopped])}"
        yield from (f"{request.id}: who left: {line}" for line in request.hiding)
