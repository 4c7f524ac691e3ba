# SPDX-License-Identifier: MIT
"""What became of requests that were carried out, and of purges; see `show`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

from rich.table import Table

from fedlethe.cli.output.requests import erase_command, purge_command, requests_listed
from fedlethe.cli.output.show import as_object, lines_of, object_of, tables
from fedlethe.results import Carried, ErasureRequest, Purged


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
        "not_reached": list(result.not_reached),
    }


@object_of.register
def _(result: Purged) -> dict[str, Any]:
    return {
        "run": result.run,
        "carried": [as_object(one.request) for one in result.carried],
        "unnamed": sorted({words for one in result.carried for words in one.unnamed}),
        "not_reached": sorted({words for one in result.carried for words in one.not_reached}),
        "waiting": [as_object(request) for request in result.waiting],
    }


@lines_of.register
def _(result: Carried) -> Iterable[Table | str]:
    left = f"; {_count(result.unnamed)} left in the run folder" if result.unnamed else ""
    yield _first_line(result.request) + left
    yield from _unnamed(result.unnamed)
    yield from _not_reached(result.not_reached)
    yield from tables(result.erasure)
    if result.audit is not None:
        table = Table("audit", "verdict", "why", title=f"Against {result.audit.references} retrainings")
        for finding in result.audit.findings:
            table.add_row(finding.audit, finding.verdict, finding.statement)
        yield table
    # Nothing was certified, so there is no certificate to name: what there is to say is how to go on.
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
    # Audits hold a model against retrainings: beside poor ones a poor one is 'useful'. The gravest warning comes first.
    warned = "".join(f"; but {warning}" for warning in request.warnings[:1])
    return f"request {request.id}: {request.subject} erased; audit: {request.verdict}{warned}{accepted}"


def _purge(request: ErasureRequest, run: Path) -> str:
    """How far the purge is, and the command that carries it out where it is due."""
    if request.purge_due:
        return f"due since {request.held_until}, and not made: {purge_command(run)}"
    return request.purge or "-"


def _unnamed(found: Iterable[str]) -> Iterable[str]:
    """What fedlethe did not touch, since it does not know what it is."""
    # Several requests of one purge see the same folders; each entry is told once.
    listed = sorted(set(found))
    if listed:
        yield f"{_count(listed)} left in the run folder, as copies of what was erased could be; see what they are:"
        yield from (f"  {words}" for words in listed)


def _not_reached(found: Iterable[str]) -> Iterable[str]:
    """Where copies may be that a purge did not get."""
    if listed := list(dict.fromkeys(found)):
        yield "not reached by the purge, as the certificate says, too:"
        yield from (f"  {words}" for words in listed)


def _count(found: Iterable[str]) -> str:
    count = len(set(found))
    return "1 entry that no ledger names was" if count == 1 else f"{count} entries that no ledger names were"


def _ways_on(run: Path, id: str, method: str) -> tuple[str, ...]:
    erase = erase_command(run, id)
    # A retraining that is found at fault was held against too few others; another method would only be worse.
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
        yield from requests_listed("Purged", [one.request for one in result.carried], result.run)
        yield from _unnamed(words for one in result.carried for words in one.unnamed)
        yield from _not_reached(words for one in result.carried for words in one.not_reached)
    else:
        yield "no purge is due"
    yield from (
        f"{one.id}: {one.state}, not finished: {erase_command(result.run, one.id)}" for one in result.unfinished
    )
    yield from (f"{request.id}: kept until {request.purge}" for request in result.waiting)
