# SPDX-License-Identifier: MIT
"""Erasure requests: opened, listed, withdrawn; each state that they go through is a row of the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fedlethe.entered import demand_said, demand_text
from fedlethe.errors import FedletheError
from fedlethe.experiment.patients import long_names, refuse_known, refuse_named
from fedlethe.experiment.run import Run, opened_folder
from fedlethe.history import chain
from fedlethe.history.chain import Body, Event
from fedlethe.history.ledger import Ledger
from fedlethe.types import ClientId

State: TypeAlias = Literal["opened", "running", "audited", "completed", "failed", "withdrawn"]
CLOSED: tuple[State, ...] = ("completed", "withdrawn")

DAYS = 30
"""Until the deadline where none is named: the month of GDPR Art. 12(3)."""

NOT_AUDITED = "not audited"
FINDINGS = ("still there", "not useful")
"""Verdicts at which a request stops until somebody decides."""

_MOVED = ("state", "plan", "erasure", "purge", "note", "verdict", "accepted", "hiding")

LEGAL_GROUND = "GDPR Art. 17(1)"
"""Where none is named."""

TOLERANCE = dt.timedelta(minutes=5)
"""How far the clock may lie behind the ledger: clocks are set, and differ between machines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasureRequest:
    """A request, and what became of it.

    Attributes:
        id: Names it within the run.
        opened: When.
        clients: Who is to be erased, whole or in part.
        patients: Client to the pseudonyms of its patients, where it is these alone.
        mentions: Client to what tells a text that names one of them.
        reason: In the words of who asks.
        by: Who opened it.
        legal_ground: On which.
        deadline: Date by which it must be done.
        state: Its state.
        since: When it came to be in it.
        plan: How it is carried out: what `erase` was asked for; None before that.
        erasure: The id of the erasure that carried it out.
        purge: 'done', or the date until which its traces are kept; None before the erasure is certified.
        note: Why it failed or was withdrawn.
        verdict: What the audits say of the erasure in one word, or NOT_AUDITED; None before that.
        accepted: Who went on in spite of what the audits found, and why; None where nobody did.
        namesakes: Other clients that have images of a patient of that name, as it was looked up when it was opened.
        hiding: What hides who was erased, and how well, in sentences; nothing where nothing does.
    """

    id: str
    opened: str
    clients: tuple[ClientId, ...]
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    mentions: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    reason: str
    by: str
    legal_ground: str
    deadline: str
    state: State = "opened"
    since: str = ""
    plan: Mapping[str, Any] | None = None
    erasure: str | None = None
    purge: str | None = None
    note: str = ""
    verdict: str | None = None
    accepted: Mapping[str, str] | None = None
    hiding: Sequence[str] = ()
    namesakes: Sequence[ClientId] = ()

    @property
    def subject(self) -> str:
        """Who is erased, in words."""
        return subject_of(self.clients, self.patients)

    @property
    def stopped(self) -> bool:
        """Whether the audits found something, and nobody has decided yet how to go on."""
        return self.state == "audited" and self.verdict in FINDINGS and self.accepted is None

    @property
    def overdue(self) -> bool:
        """Whether its deadline has passed and it is still to be carried out."""
        return self.state not in CLOSED and chain.clock()[:10] > self.deadline


def subject_of(clients: Sequence[ClientId], patients: Mapping[ClientId, Sequence[str]]) -> str:
    """Who is erased, in words: clients, whole or in part."""
    counts = {client: f" ({len(names)} of its patients)" for client, names in patients.items()}
    return ", ".join(client + counts.get(client, "") for client in clients)


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests of a run.

    Attributes:
        run: The run folder.
        requests: In the order in which they were opened.
        problems: Certificates that are missing or have other bytes than the ledger names, in words.
    """

    run: Path
    requests: tuple[ErasureRequest, ...]
    problems: tuple[str, ...] = ()


def requests_of(ledger: Ledger) -> dict[str, ErasureRequest]:
    """The requests that a ledger holds, by their id, in the order in which they were opened."""
    found: dict[str, ErasureRequest] = {}
    for event in ledger.events("request", "state", "purge"):
        if event.kind == "request":
            found[event.body["id"]] = _opened(event)
        elif (id := event.body["request"]) in found:  # a purge can be of a later run's request
            found[id] = _moved(found[id], event)
    return found


def _opened(event: Event) -> ErasureRequest:
    body = event.body
    return ErasureRequest(
        id=body["id"],
        opened=event.at,
        clients=tuple(body["clients"]),
        patients={client: tuple(names) for client, names in body["patients"].items()},
        mentions={client: tuple(names) for client, names in body.get("mentions", {}).items()},
        reason=body["reason"],
        by=body["by"],
        legal_ground=body["legal_ground"],
        deadline=body["deadline"],
        since=event.at,
    )


def _moved(request: ErasureRequest, event: Event) -> ErasureRequest:
    if event.kind == "purge":
        return replace(request, purge="done")
    known = {name: event.body[name] for name in _MOVED if name in event.body}
    if known["state"] == "running":  # begun anew: what was found of another erasure is not of this one
        known = {"erasure": None, "verdict": None, "accepted": None, "hiding": (), **known}
    return replace(request, since=event.at, **known)


def find(ledger: Ledger, id: str) -> ErasureRequest:
    """The request of this id.

    Raises:
        FedletheError: There is none.
    """
    known = requests_of(ledger)
    if id not in known:
        raise FedletheError(f"{ledger.path}: there is no request '{id}'; there is {', '.join(known) or 'none'}")
    return known[id]


def findings_about(ledger: Ledger, clients: Sequence[ClientId], until: int | None = None) -> list[dict[str, str]]:
    """What audits found of erasures of these clients, in whichever request, in the order in which they found it.

    Args:
        ledger: The run's.
        clients: Of whom.
        until: The last row that counts; None for all.

    Returns:
        Of each finding 'request', 'erasure', 'verdict' (one of FINDINGS) and 'at'.
    """
    known = requests_of(ledger)
    found = [
        {"request": event.body["request"], "erasure": event.body["erasure"] or "", "verdict": verdict, "at": event.at}
        for event in ledger.events("state")
        if (verdict := event.body.get("verdict")) in FINDINGS
        and (until is None or event.seq <= until)
        and not set(known[event.body["request"]].clients).isdisjoint(clients)
    ]
    once = {(one["erasure"], one["verdict"]): one for one in reversed(found)}  # an erasure can be looked at again
    return sorted(once.values(), key=lambda one: (one["at"], one["erasure"]))


def moved(ledger: Ledger, id: str, state: State, **details: Any) -> ErasureRequest:
    """Enter that a request has come to be in another state."""
    ledger.append([state_row(id, state, **details)])
    return find(ledger, id)


def state_row(id: str, state: State, **details: Any) -> tuple[str, Body]:
    """The ledger's row for it."""
    return "state", {"request": id, "state": state, **details}


def demand_clock(ledger: Ledger) -> None:
    """Refuse to act where the clock is behind what the ledger says: deadlines and dates of purges hang on it.

    Raises:
        FedletheError: It is, by more than TOLERANCE.
    """
    now, last = dt.datetime.fromisoformat(chain.clock()), ledger.latest()
    if last and now < dt.datetime.fromisoformat(last) - TOLERANCE:
        raise FedletheError(
            f"the clock says {now.isoformat()}, but {ledger.path} was written to at {last}; set the clock right, "
            "then run the command again"
        )


def open_request(
    run: Run,
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
            request names it; or the clock is behind.
    """
    for option, text in (("--reason", reason), ("--by", by), ("--legal-ground", legal_ground)):
        demand_said(text, option)
    for option, text in (("--deadline", deadline or ""), *(("--patient", patient) for patient in patients)):
        demand_text(text, option)
    due = _date(deadline) if deadline is not None else (dt.date.today() + dt.timedelta(DAYS)).isoformat()
    with run.history.locked():
        ledger = run.history.ledger
        demand_clock(ledger)
        for flag, text in (("--reason", reason), ("--by", by), ("--legal-ground", legal_ground)):
            if text != LEGAL_GROUND:  # which has numbers that can be patients' names
                refuse_named(flag, text, patients or long_names(run, clients))
        pseudonyms = _pseudonyms(run, clients, patients)
        mentions = {c: sorted({run.history.store.keys.mention(c, one) for one in patients}) for c in pseudonyms}
        others = [client for client in run.data.clients if client not in clients]
        namesakes = [client for client in others if not set(patients).isdisjoint(run.data.patients_of(client))]
        if (same := _demand_free(run, clients, pseudonyms)) is not None:
            return replace(same, namesakes=namesakes)
        id = f"R{len(requests_of(ledger)) + 1:04d}"
        facts = {"reason": reason, "by": by, "legal_ground": legal_ground, "deadline": due}
        whom = {"clients": sorted(clients), "patients": pseudonyms, **({"mentions": mentions} if mentions else {})}
        ledger.append([("request", {"id": id, **whom, **facts})])
        return replace(find(ledger, id), namesakes=namesakes)


def _date(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise FedletheError(f"--deadline {text}: must be a date, YYYY-MM-DD") from None


def _pseudonyms(run: Run, clients: Sequence[ClientId], patients: Sequence[str]) -> dict[ClientId, list[str]]:
    """The client to what stands for its patients in the ledger, which is never to hold their names."""
    if not patients:
        return {}
    if len(clients) != 1:
        raise FedletheError("--patient: name the one client whose patients they are with --client")
    if run.remote is not None:
        raise FedletheError("--patient: over Flower nodes a hospital is erased as a whole, or not at all; leave it out")
    (client,) = clients
    run.images.without_patients(client, patients)
    return {client: sorted(run.history.store.keys.pseudonym(client, patient) for patient in set(patients))}


def _demand_free(
    run: Run, clients: Sequence[ClientId], patients: Mapping[ClientId, Sequence[str]]
) -> ErasureRequest | None:
    """Refuse clients that cannot be erased; gives back the request that is open for the very same."""
    if not clients:
        raise FedletheError("nobody is named to be erased; give --client")
    known = requests_of(run.history.ledger).values()
    for request in known:
        if request.state == "completed" and (gone := set(request.clients) & set(clients) - set(request.patients)):
            raise FedletheError(f"{', '.join(sorted(gone))}: erased already, by request {request.id}")
    if not patients:
        run.data.without(clients)
    if twice := next((client for client in clients if clients.count(client) > 1), None):
        raise FedletheError(f"client '{twice}' is named twice; name each client once")
    for request in known:
        if request.state in CLOSED or not set(request.clients) & set(clients):
            continue
        held = {client: list(names) for client, names in request.patients.items()}
        if (list(request.clients), held) == (
            sorted(clients),
            {client: list(names) for client, names in patients.items()},
        ):
            return request
        raise FedletheError(f"{request.subject}: request {request.id} is {request.state}; carry it out or withdraw it")
    return None


def listed(path: Path) -> Requests:
    """All requests of a run, without its data."""
    with opened_folder(path) as (_, history):
        held = [one for one in history.ledger.artefacts().values() if "/certificate" in one.path]
        problems = [words for one in held if (words := history.store.problem(one)) is not None]
        return Requests(path, tuple(requests_of(history.ledger).values()), tuple(problems))


def withdraw(path: Path, id: str, reason: str, by: str) -> ErasureRequest:
    """Withdraw a request of which nothing was purged yet; an erasure that was made for it stays in the run.

    Raises:
        FedletheError: There is none, it is closed already, or its erasure is certified and its purge under way.
    """
    demand_said(reason, "--reason")
    demand_said(by, "--by")
    with opened_folder(path) as (_, history), history.locked():
        request = find(history.ledger, id)
        certified = any(
            path.startswith(f"erasures/{request.erasure}/certificate") for path in history.ledger.artefacts()
        )
        if request.state in CLOSED or request.purge is not None or (request.erasure is not None and certified):
            raise FedletheError(f"request {id} is {request.state}; it cannot be withdrawn any more")
        for flag, text in (("--reason", reason), ("--by", by)):
            refuse_known(flag, text, history, request.mentions)
        return moved(history.ledger, id, "withdrawn", note=reason, by=by)
