# SPDX-License-Identifier: MIT
"""Erasure requests: opened, listed, withdrawn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fedlethe.entered import demand_said, demand_text
from fedlethe.erasing.patients import long_names, refuse_known, refuse_named
from fedlethe.errors import ConfigError, RequestError
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import CERTIFICATES, erasure_of, kind_of
from fedlethe.history.request_log import (
    CLOSED,
    DAYS,
    LEGAL_GROUND,
    ErasureRequest,
    Requests,
    demand_clock,
    find,
    moved,
    requests_of,
)
from fedlethe.runs.past import chain_of
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId


def demand_who_and_why(said: Mapping[str, str] | None, what: str) -> None:
    """Refuse what stays on record of somebody's decision, if there is one, unless it says who and why.

    Raises:
        FedletheError: It has other keys, or no texts.
    """
    whole = isinstance(said, Mapping) and set(said) == {"by", "why"}
    if said is not None and not (whole and all(isinstance(text, str) for text in said.values())):
        raise ConfigError(f'{what}: must say who and why, {{"by": "...", "why": "..."}}, not {said!r}')


def open_request(
    run: OpenRun,
    clients: Sequence[ClientId],
    patients: Sequence[str],
    reason: str,
    by: str,
    legal_ground: str = LEGAL_GROUND,
    deadline: str | None = None,
) -> ErasureRequest:
    """Open a request. One that is open for the same clients and patients is handed back as it is.

    Args:
        run: The run.
        clients: Who is to be erased.
        patients: Only these patients of the one client.
        reason: In the words of who asks.
        by: Who opens it.
        legal_ground: On which.
        deadline: Date by which it must be done, YYYY-MM-DD; DAYS from now if None.

    Raises:
        FedletheError: A client or patient is not there or gone already, no client would be left, or another open
            request names it; the run's model went with the purge of a later run; or the clock is behind.
    """
    said = {"reason": reason, "by": by, "legal_ground": legal_ground}
    _demand_entered(said, deadline, patients)
    due = _date(deadline) if deadline is not None else (dt.date.today() + dt.timedelta(DAYS)).isoformat()
    with run.history.locked():
        ledger = run.history.ledger
        demand_clock(ledger)
        for where, text in said.items():
            if text != LEGAL_GROUND:  # which has numbers that can be patients' names
                refuse_named(where, text, patients or long_names(run.images, clients))
        pseudonyms = _pseudonyms(run, clients, patients)
        keys = run.history.store.keys
        others = [client for client in run.data.clients if client not in clients]
        namesakes = [client for client in others if not set(patients).isdisjoint(run.data.patients_of(client))]
        if (same := _demand_free(run, clients, pseudonyms)) is not None:
            if [*said.values()] != [same.reason, same.by, same.legal_ground] or (
                deadline is not None and due != same.deadline
            ):
                raise RequestError(
                    f"request {same.id} is open for them already, in other words or for another date; carry it out, or "
                    "withdraw it first"
                )
            return replace(same, namesakes=namesakes)
        asked = ErasureRequest(
            id=f"R{len(requests_of(ledger)) + 1:04d}",
            opened="",  # the ledger says when
            clients=tuple(sorted(clients)),
            patients={client: tuple(names) for client, names in pseudonyms.items()},
            mentions={c: tuple(sorted({keys.mention(c, one) for one in patients})) for c in pseudonyms},
            reason=reason,
            by=by,
            legal_ground=legal_ground,
            deadline=due,
        )
        ledger.append([("request", asked.to_dict())])
        return replace(find(ledger, asked.id), namesakes=namesakes)


def _demand_entered(said: Mapping[str, str], deadline: str | None, patients: Sequence[str]) -> None:
    """Refuse control characters in what is asked, and silence where it stays on record."""
    for where, text in said.items():
        demand_said(text, where)
    for where, text in (("deadline", deadline or ""), *(("patients", patient) for patient in patients)):
        demand_text(text, where)


def _date(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise RequestError(f"deadline {text}: must be a date, YYYY-MM-DD") from None


def _pseudonyms(run: OpenRun, clients: Sequence[ClientId], patients: Sequence[str]) -> dict[ClientId, list[str]]:
    """The client to what stands for its patients in the ledger, which is never to hold their names."""
    if not patients:
        return {}
    if len(clients) != 1:
        raise RequestError("patients: name the one client whose patients they are")
    if run.remote is not None:
        raise RequestError("patients: over Flower nodes a hospital is erased as a whole, or not at all; leave it out")
    (client,) = clients
    run.images.without_patients(client, patients)
    return {client: sorted(run.history.store.keys.pseudonym(client, patient) for patient in set(patients))}


def _demand_free(
    run: OpenRun, clients: Sequence[ClientId], patients: Mapping[ClientId, Sequence[str]]
) -> ErasureRequest | None:
    """Refuse clients that cannot be erased; gives back the request that is open for the very same."""
    if not clients:
        raise RequestError("nobody is named to be erased; name a client")
    # Where the model went with a later run's purge, the request belongs into that run, unless another is left.
    if run.history.base is not None or not run.history.store.erasures_left():
        run.history.final_path()
    known = requests_of(run.history.ledger).values()
    for request in known:
        if request.state == "completed" and (gone := set(request.clients) & set(clients) - set(request.patients)):
            raise RequestError(f"{', '.join(sorted(gone))}: erased already, by request {request.id}")
    if not patients:
        _refuse_taken_out_before(run, clients)
        run.data.without(clients)
    if twice := next((client for client in clients if clients.count(client) > 1), None):
        raise RequestError(f"client '{twice}' is named twice; name each client once")
    for request in known:
        if request.state in CLOSED or not set(request.clients) & set(clients):
            continue
        held = {client: list(names) for client, names in request.patients.items()}
        if (list(request.clients), held) == (
            sorted(clients),
            {client: list(names) for client, names in patients.items()},
        ):
            return request
        raise RequestError(f"{request.subject}: request {request.id} is {request.state}; carry it out or withdraw it")
    return None


def _refuse_taken_out_before(run: OpenRun, clients: Sequence[ClientId]) -> None:
    """Name the run, of those that this one began from, in which a client was taken out, and what is to be done."""
    for part in run.lineage.earlier[::-1]:
        for client in clients:
            if client in run.data.clients or client not in part.erased:
                continue
            assert isinstance(part.history, RunFolder)
            by = next(id for id, made in chain_of(part.history, part.erasure) if client in made.whole)
            out = f"client '{client}' was taken out before this run began, by erasure {by} of {part.history.path}"
            if by in certified_erasures(part.history):
                raise RequestError(f"{out}, which is certified: nothing is left to do")
            raise RequestError(
                f"{out}; open the request there, and carry it out with the result {part.erasure}, from which this run "
                "began"
            )


def listed(path: Path) -> Requests:
    """All requests of a run, without its data."""
    with opened_folder(path) as (_, history):
        held = [one for one in history.ledger.artefacts().values() if kind_of(one) in CERTIFICATES]
        problems = [words for one in held if (words := history.store.problem(one)) is not None]
        return Requests(path, tuple(requests_of(history.ledger).values()), tuple(problems))


def certified_erasures(history: RunFolder) -> set[str]:
    """The ids of the erasures of which a certificate is in the run."""
    signed = [one for one in history.ledger.artefacts().values() if kind_of(one) in CERTIFICATES]
    return {id for one in signed if (id := erasure_of(one)) is not None}


def withdraw(path: Path, id: str, reason: str, by: str) -> ErasureRequest:
    """Withdraw a request of which nothing was purged yet; an erasure that was made for it stays in the run.

    Raises:
        FedletheError: There is none, it is closed already, or its erasure is certified and its purge under way.
    """
    said = {"reason": reason, "by": by}
    for where, text in said.items():
        demand_said(text, where)
    with opened_folder(path) as (_, history), history.locked():
        request = find(history.ledger, id)
        # Once a certificate is signed somebody may hold it: what it orders is then to happen.
        certified = request.erasure in certified_erasures(history)
        if request.state in CLOSED or request.purge is not None or certified:
            raise RequestError(f"request {id} is {request.state}; it cannot be withdrawn any more")
        for where, text in said.items():
            refuse_known(where, text, history, request.mentions)
        return moved(history.ledger, id, "withdrawn", note=reason, by=by)
