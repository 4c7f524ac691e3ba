# SPDX-License-Identifier: MIT
"""Erasure requests as the rows of a ledger tell them: each state that they go through is one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fedlethe.errors import RequestError
from fedlethe.history import chain
from fedlethe.history.chain import Body, Event
from fedlethe.history.ledger import Ledger
from fedlethe.types import ClientId

State: TypeAlias = Literal["opened", "running", "audited", "completed", "failed", "withdrawn"]
CLOSED: tuple[State, ...] = ("completed", "withdrawn")

DAYS = 30
"""Until the deadline where none is named: the month of GDPR Art. 12(3)."""

NOT_AUDITED = "not audited"

BEGUN = "begun"
"""A purge that is in the ledger and of which nothing says that it came to its end."""

FINDINGS = ("still there", "not useful")
"""Verdicts at which a request stops until somebody decides."""

_MOVED = ("state", "plan", "erasure", "purge", "note", "verdict", "accepted", "hiding", "warnings")

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
        purge: 'done'; BEGUN where a purge was cut off; the date until which its traces are kept; None before the
            erasure is certified.
        note: Why it failed or was withdrawn.
        verdict: What the audits say of the erasure in one word, or NOT_AUDITED; None before that.
        accepted: Who went on in spite of what the audits found, and why; None where nobody did.
        namesakes: Other clients that have images of a patient of that name, as it was looked up when it was opened.
        hiding: What hides who was erased, and how well, in sentences; nothing where nothing does.
        warnings: What must be known of the erased model beside the verdict, the gravest first: audits hold it against
            retrainings, which can be as poor as it is.
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
    warnings: Sequence[str] = ()
    namesakes: Sequence[ClientId] = ()

    @classmethod
    def from_dict(cls, body: Body, opened: str) -> ErasureRequest:
        """What `to_dict` gave, as it was opened."""
        return cls(
            id=body["id"],
            opened=opened,
            clients=tuple(body["clients"]),
            patients={client: tuple(names) for client, names in body["patients"].items()},
            mentions={client: tuple(names) for client, names in body.get("mentions", {}).items()},
            reason=body["reason"],
            by=body["by"],
            legal_ground=body["legal_ground"],
            deadline=body["deadline"],
            since=opened,
        )

    def to_dict(self) -> Body:
        """What the ledger's row says that opens it; what became of it is in the rows of its states."""
        mentions = {client: list(texts) for client, texts in self.mentions.items()}
        return {
            "id": self.id,
            "clients": list(self.clients),
            "patients": {client: list(names) for client, names in self.patients.items()},
            **({"mentions": mentions} if mentions else {}),
            "reason": self.reason,
            "by": self.by,
            "legal_ground": self.legal_ground,
            "deadline": self.deadline,
        }

    @property
    def subject(self) -> str:
        """Who is erased, in words."""
        return subject_of(self.clients, self.patients)

    @property
    def stopped(self) -> bool:
        """Whether the audits found something, and nobody has decided yet how to go on."""
        return self.state == "audited" and self.verdict in FINDINGS and self.accepted is None

    @property
    def held_until(self) -> str | None:
        """The date until which its traces are kept; None where they are gone, going, or nothing is certified."""
        return None if self.purge in (None, BEGUN, "done") else self.purge

    @property
    def purge_due(self) -> bool:
        """Whether that date has come, and its purge was not made."""
        return self.held_until is not None and self.held_until <= chain.clock()[:10]

    @property
    def purge_cut_off(self) -> bool:
        """Whether its purge began and did not come to its end."""
        return self.purge == BEGUN

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
            found[event.body["id"]] = ErasureRequest.from_dict(event.body, event.at)
        elif (id := event.body["request"]) in found:  # a purge can be of a later run's request
            found[id] = _moved(found[id], event)
    return found


def _moved(request: ErasureRequest, event: Event) -> ErasureRequest:
    if event.kind == "purge":
        return replace(request, purge=BEGUN)  # it is done when its state says so, after the last certificate
    # What a failed attempt said is not of the next one.
    known = {"note": "", **{name: event.body[name] for name in _MOVED if name in event.body}}
    if known["state"] == "running":  # begun anew: what was found of another erasure is not of this one
        known = {"erasure": None, "verdict": None, "accepted": None, "hiding": (), "warnings": (), **known}
    return replace(request, since=event.at, **known)


def find(ledger: Ledger, id: str) -> ErasureRequest:
    """The request of this id.

    Raises:
        FedletheError: There is none.
    """
    known = requests_of(ledger)
    if id not in known:
        raise RequestError(f"{ledger.path}: there is no request '{id}'; there is {', '.join(known) or 'none'}")
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
        raise RequestError(
            f"the clock says {now.isoformat()}, but {ledger.path} was written to at {last}; set the clock right, "
            "then run the command again"
        )
