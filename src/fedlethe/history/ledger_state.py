# SPDX-License-Identifier: MIT
"""What the rows of a ledger, read in their order, lead to; and which row cannot follow on those before it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedlethe.history.chain import Body, ChainHead, Event
from fedlethe.history.entries import Artefact, Participation, Tombstone
from fedlethe.types import ClientId


@dataclass(frozen=True, slots=True)
class RoundEntry:
    """What is on record of one complete round; times in seconds of wall time."""

    seconds: float
    recording_seconds: float
    evaluation: str


@dataclass
class LedgerState:
    """What the rows up to `head` lead to."""

    head: ChainHead = field(default_factory=ChainHead)
    at: str = ""
    run_id: str = ""
    rounds: dict[int, RoundEntry] = field(default_factory=dict)
    participation: dict[int, list[Participation]] = field(default_factory=dict)
    artefacts: dict[str, Artefact] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    erasures: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[ClientId, str], bool] = field(default_factory=dict)
    others: list[Event] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    requests: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Of each request whether its rows so far named a plan, an erasure and a purge."""

    def contradicts(self, event: Event) -> str | None:
        """How a row contradicts those before it; None where it does not."""
        # The hashes show that rows are those that were written. This shows that they can all be true: a ledger that
        # was made anew, hashes and all, has to tell a story that this program could have written.
        body, known = event.body, self.keys
        if event.kind == "round" and body["round"] != len(self.rounds) + 1:
            return f"is of round {body['round']}, after {len(self.rounds)} rounds"
        if event.kind == "artefact" and body["path"] in self.artefacts:
            return f"enters {body['path']}, which is entered already"
        if event.kind == "removed" and body["path"] not in self.artefacts:
            return f"removes {body['path']}, which is not there"
        if event.kind == "erasure" and body["id"] != f"{len(self.erasures) + 1:04d}":
            return f"enters erasure {body['id']}, after {len(self.erasures)} erasures"
        if event.kind == "request" and body["id"] != f"R{sum(one.kind == 'request' for one in self.others) + 1:04d}":
            return f"opens request {body['id']}, which is not the next"
        if event.kind in ("state", "purge") and (id := body.get("erasure")) and id not in self.erasures.values():
            return f"is of erasure {id}, which is not above it"
        if event.kind == "state":
            return self._state_contradicts(body)
        if event.kind == "key":
            key = (body["client"], body["id"])
            if (body["what"] == "made") == (key in known):
                return f"has the key {body['client']}.{body['id']} {body['what']}, which it cannot be by the rows above"
            if body["what"] == "destroyed" and not known[key]:
                return f"destroys the key {body['client']}.{body['id']} again"
        return None

    def _state_contradicts(self, body: Body) -> str | None:
        """Why a request cannot have come to be in a state, by what its rows named before."""
        if body["request"] not in self.requests:
            return f"is of request {body['request']}, which was never opened"
        named = {name: held or body.get(name) is not None for name, held in self.requests[body["request"]].items()}
        needs = {"running": ("plan",), "audited": ("plan", "erasure"), "completed": ("plan", "erasure", "purge")}
        missing = [name for name in needs.get(body["state"], ()) if not named[name]]
        return f"has a request {body['state']} without its {missing[0]}" if missing else None

    def take(self, event: Event) -> None:
        """Take in the next row, which must not contradict those before it (see `contradicts`)."""
        body = event.body
        if event.kind == "round":
            self.rounds[body["round"]] = RoundEntry(body["seconds"], body["recording_seconds"], body["evaluation"])
        elif event.kind == "participation":
            self.participation.setdefault(body["round"], []).append(Participation(**body))
        elif event.kind == "artefact":
            self.artefacts[body["path"]] = Artefact(**body)
            self.tombstones.pop(body["path"], None)  # what is made again under a name is there: an audit, a study
        elif event.kind == "removed":
            gone = self.artefacts.pop(body["path"])
            self.tombstones[gone.path] = Tombstone(gone, event.at, body["because"])
        elif event.kind == "erasure":
            self.erasures[body["request"]] = body["id"]  # by what was asked for: the same request is carried out once
        elif event.kind == "run":
            self.run_id = body["id"]
        else:  # few: they are kept as they are, and read by who knows them
            if event.kind == "key":
                self.keys[body["client"], body["id"]] = body["what"] in ("made", "lost")  # a lost one can be found
            if event.kind == "request":
                self.requests[body["id"]] = {"plan": False, "erasure": False, "purge": False}
            if event.kind == "state":
                self._take_state(body)
            self.others.append(event)
        self.hashes.append(event.hash)
        self.head, self.at = ChainHead(event.seq, event.hash), event.at

    def _take_state(self, body: Body) -> None:
        named = self.requests[body["request"]]
        if body["state"] == "running":  # begun anew: the erasure before is not its any more
            named["erasure"] = False
        for name in named:
            named[name] = named[name] or body.get(name) is not None
