# SPDX-License-Identifier: MIT
"""Copies outside the run folder: those that a purge reaches, and the places that it names since it cannot.

What was done stands in the ledger, as a row `elsewhere` for each purge, and from there in the certificate.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import ELSEWHERE
from fedlethe.history.paths import Kind, kind_of
from fedlethe.requests import superlink_state
from fedlethe.types import ClientId

OUT_OF_SIGHT = (
    "models that were exported or released, files of `history --unseal`, pictures of `fedlethe data --out`, and what "
    "an experiment tracker, a log or a backup took in, and models of other runs on the same data that this one did not "
    "begin from: fedlethe keeps no record of them"
)


def reach(
    folders: Sequence[RunFolder],
    request: str,
    clients: Sequence[ClientId],
    flower_run: int | None = None,
    left: Iterable[str] = (),
) -> None:
    """Remove what is outside the run folders and on this machine, and enter that, and what is not, in the ledger.

    Args:
        folders: The run, locked, and those that it began from.
        request: The purge.
        clients: Who was erased.
        flower_run: The Flower run that this process is the server of; None where it is of none.
        left: What in the run folders tells something of them, and is not the purge's to take, a sentence each.
    """
    done, missed = list[str](), list[str]()
    if records := [record for folder in folders for record in _nodes(folder)]:
        places = {*superlink_state.told(), *(place for record in records for place in record.get("flower_state", ()))}
        if superlink_state.local().is_file():
            places.add(str(superlink_state.local().resolve()))
        done, missed = superlink_state.clear_all_messages(sorted(places), flower_run)
        if not places:
            missed.append(
                "Flower's record of its messages (flower-superlink --database): nobody said where it is; stop the "
                f"SuperLink and delete the file, and name it in {superlink_state.STATE} where the next purge is made"
            )
        missed += _on_nodes(records, clients)
    facts = {"request": request, "reached": done, "not_reached": [*left, *missed, OUT_OF_SIGHT]}
    folders[0].ledger.append([(ELSEWHERE, facts)])


def reached(folder: RunFolder, request: str, seq: int | None = None) -> tuple[list[str], list[str]]:
    """What the purge of a request did outside the run folder, and what it could not, in words.

    Args:
        folder: The run folder.
        request: The purge.
        seq: The last row of the ledger that counts; None for all.
    """
    rows = [event for event in folder.ledger.events(ELSEWHERE) if seq is None or event.seq <= seq]
    found = [event.body for event in rows if event.body["request"] == request]  # again where it was resumed
    return (found[-1]["reached"], found[-1]["not_reached"]) if found else ([], [OUT_OF_SIGHT])


def _nodes(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """What the run knows of its nodes: a record for each training and erasure over them."""
    for one in folder.ledger.artefacts().values():
        if kind_of(one) is Kind.NODES:  # of a training, or of an erasure
            yield json.loads(folder.store.content(one))


def _on_nodes(records: Sequence[dict[str, Any]], clients: Sequence[ClientId]) -> Iterator[str]:
    """What may lie on the machines of the nodes that these records name."""
    identities = {client: one for record in records for client, one in record["identities"].items()}
    asked = {client for record in records for client, sent in record["messages"].items() if sent}
    for client in sorted(set(clients) & {*identities, *asked}):
        yield (
            f"the node of {client}: decoded images, features and names of files in its cache ($FEDLETHE_CACHE there); "
            "the hospital removes them by: fedlethe cache clear; and statistics with noise, where it sent such, in "
            "$FEDLETHE_STATE there, so that it never draws that noise anew"
        )
    if others := sorted(asked - set(clients)):
        yield (
            f"the nodes of {', '.join(others)}: models that they were sent while {', '.join(clients)} took part, in "
            "the memory and the temporary files of their SuperNodes"
        )
    if any(one["kind"] == "partition-id" for one in identities.values()):
        # Ray's own folder where it is set, else that of temporary files, whose name the shell of the run may have set.
        folders = {os.environ.get("RAY_TMPDIR") or "/tmp", "/tmp", tempfile.gettempdir()}
        for place in sorted(place for folder in folders for place in Path(folder).glob("ray/session_2*")):
            yield f"{place}: temporary files of a simulation; remove it when no simulation runs"
