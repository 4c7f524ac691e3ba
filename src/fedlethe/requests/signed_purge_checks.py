# SPDX-License-Identifier: MIT
"""What a certificate says of a purge, held against the run's ledger and its folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fedlethe.history.chain import Event
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.requests.checks import Problem, Unchecked
from fedlethe.requests.copies import reached
from fedlethe.requests.purge_facts import images_of, purge_row, purged_folder
from fedlethe.requests.signing import unchecked
from fedlethe.requests.statement import ORDERED, PURGED, SignedFolder, Statement, held_until
from fedlethe.types import ClientId


def purge_problem(statement: Statement, path: Path, history: RunFolder) -> Problem:
    """Hold the date, files and keys of a purge against the ledger, and see that they are gone."""
    if problem := _date_problem(statement, history):
        return problem
    if (row := _row(statement, history)) is None or isinstance(row, (str, Unchecked)):
        return row
    if statement.purge.facts["at"] != row.at:
        return f"the ledger says that it was made at {row.at}"
    said, known = _own(statement, history), _known(statement, history, row)
    for name in sorted({*said.files, *known.files}):
        if said.files.get(name) != known.files.get(name):
            return (
                f"{name}: the ledger holds no tombstone of this purge with its hash, or the certificate leaves it out"
            )
        if os.path.lexists(history.path / name):  # a link counts, whether it leads somewhere or not
            return f"{history.path / name}: is there"
    for what in ("keys_destroyed", "keys_not_found"):
        if said.facts[what] != known.facts[what]:
            return f"the ledger says otherwise of its {what.replace('_', ' ')}"
    keys = history.store.keys
    clients: set[ClientId] = set()
    # Also those that were not found when they were to go, or were said to be lost: they can come back from a backup.
    for gone in (known.facts["keys_destroyed"], *known.facts["keys_not_found"].values()):
        for client, ids in gone.items():
            if left := set(ids) - set(keys.missing(client, ids)):
                return f"{client}.{min(left)}.key: this key is there"
        clients |= {*gone}
    return next(keys.copies_of_destroyed(clients), None)


def problem_of_what_stays(statement: Statement, path: Path, history: RunFolder) -> Problem:
    """Hold what a certificate says that stayed against the ledger, as it was when the certificate was signed."""
    if (row := _row(statement, history)) is None or isinstance(row, (str, Unchecked)):
        return row
    said = _own(statement, history).facts["remains"]
    return None if said == _known(statement, history, row).facts["remains"] else "the ledger named other files then"


def problem_elsewhere(statement: Statement, path: Path, history: RunFolder) -> Problem:
    """Hold what a certificate says of copies outside the run folder against what the purge entered of them."""
    if (row := _row(statement, history)) is None or isinstance(row, (str, Unchecked)):
        return row
    done, missed = reached(history, statement.request["id"], statement.ledger.seq)
    images, facts = images_of(history, row), statement.purge.facts
    if facts["images"] != len(images.rows):
        return f"the run's list is of {len(images.rows)} images, not {facts['images']}"
    if facts["reached"] != done:
        return "the ledger says otherwise of what was reached"
    # What runs that this one began from did not reach is in it, too, and stands in their folders.
    left_out = {*missed, *images.not_reached} - {*facts["not_reached"]}
    return f"it leaves out what was not reached: {min(left_out)}" if left_out else None


def signed_until(history: RunFolder, erasure: str) -> str | None:
    """The date until which the first certificate of an erasure says that the traces are kept; None if they go at once.

    Its signature is not checked here.
    """
    held = history.store.find(of_erasure(erasure, Kind.FIRST_CERTIFICATE))
    said = json.loads(unchecked(history.store.content(held), history.path / held.path))
    until: str | None = said["predicate"]["purge"]["until"]
    return until


def _date_problem(statement: Statement, history: RunFolder) -> str | None:
    """Hold the ledger's dates of the purge against the one that was signed before it: the ledger's came after it."""
    id, purge = statement.request["id"], statement.purge
    until = signed_until(history, statement.erasure["id"]) if purge.state == PURGED else purge.facts.get("until")
    for event in history.ledger.events("state", "purge"):
        if event.body["request"] != id:
            continue
        if event.kind == "purge" and until is not None and event.at[:10] < until:
            return f"the traces were to be kept until {until}, and the purge was made at {event.at}"
        if event.kind == "state" and event.body.get("purge") not in (None, "done", until):
            return f"the traces were to be kept until {until}; the ledger says {event.body['purge']}"
    return None


def _row(statement: Statement, history: RunFolder) -> Event | str | Unchecked:
    """The ledger's row of the purge; what is wrong where there is none, or why nothing can be checked yet."""
    state, until = statement.purge.state, statement.purge.facts.get("until")
    if state != PURGED:
        known = state == (held_until(until) if until else ORDERED)
        return Unchecked(f"when it was signed, the purge was {state}") if known else f"'{state}' is no state of a purge"
    try:
        return purge_row(history, statement.request["id"])
    except ValueError:
        return f"the ledger holds no purge of request {statement.request['id']}"


def _own(statement: Statement, history: RunFolder) -> SignedFolder:
    """What it says of this run folder."""
    (own, *_) = (one for one in statement.purge.runs if one.run == history.ledger.run_id)
    return own


def _known(statement: Statement, history: RunFolder, row: Event) -> SignedFolder:
    """The same, by the ledger."""
    request = statement.request
    return purged_folder(history, request["clients"], row, statement.erasure["id"], statement.ledger.seq)
