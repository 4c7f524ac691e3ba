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

from fedlethe import IntegrityError
from fedlethe.cli.output.show import as_object, lines_of, object_of, show
from fedlethe.results import ErasureRequest, NewKey, Requests, Verified

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
        # Exit code 2, as with any other error, so that a script need not read the table.
        raise IntegrityError(f"{result.subject}: {first.what}: {first.words}{more}")


@object_of.register
def _(result: ErasureRequest) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "overdue": result.overdue, "stopped": result.stopped}


@object_of.register
def _(result: Requests) -> dict[str, Any]:
    requests = [as_object(request) for request in result.requests]
    return {"run": result.run, "requests": requests, "problems": list(result.problems)}


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
    yield from requests_listed(f"Request {request.id}", [request], result.run)
    if request.state == "opened":
        yield f"to carry it out, with the key that signs certificates (fedlethe key new {KEY}):"
        yield f"  {erase_command(result.run, request.id)}"


@lines_of.register
def _(result: Requests) -> Iterable[Table | str]:
    yield from (f"PROBLEM: {words}; restore it from a backup" for words in result.problems)
    yield from requests_listed(f"{result.run}: erasure requests", result.requests, result.run)


def purge_command(run: Path) -> str:
    """The command that carries out what is due, to be copied."""
    return f"fedlethe purge {quote(str(run))} --key {KEY}"


def erase_command(run: Path, id: str) -> str:
    """The command that carries a request out, or goes on with it, to be copied."""
    return f"fedlethe erase {quote(str(run))} --request {id} --key {KEY}"


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


def requests_listed(title: str, requests: Sequence[ErasureRequest], run: Path) -> Iterable[Table | str]:
    """A table of requests, and what there is to say of each.

    Args:
        title: Of the table.
        requests: In their order.
        run: The run folder.
    """
    names = ("id", "clients", "state", "deadline", "erasure", "audit", "purge")
    table = Table(*(Column(name, overflow="fold", no_wrap=name != "clients") for name in names), title=title)
    for request in requests:
        purge = f"{request.purge}: was cut off" if request.purge_cut_off else request.purge or "-"
        done = (request.erasure or "-", request.verdict or "-", purge)
        table.add_row(request.id, request.subject, request.state, request.deadline, *done)
    yield table
    # A table's cell is no place for a sentence; what is to be done stands below it, to be copied.
    for request in requests:
        late = ["overdue"] if request.overdue else []
        if request.purge_cut_off:
            late.append("its purge was cut off, and files of the erased may be there: " + purge_command(run))
        elif request.purge_due:
            late.append(f"its purge is due since {request.held_until}: {purge_command(run)}")
        stopped = ["stopped at what the audits found: decide how to go on"] if request.stopped else []
        yield f"{request.id}: {'; '.join([request.reason, *filter(None, [request.note]), *late, *stopped])}"
        yield from (f"{request.id}: warning: {line}" for line in request.warnings)
        yield from (f"{request.id}: who left: {line}" for line in request.hiding)
