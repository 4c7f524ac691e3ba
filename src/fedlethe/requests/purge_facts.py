# SPDX-License-Identifier: MIT
"""What a certificate says of the purge: what goes or is gone, what stays, and what nobody can know of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fedlethe.data.erased import ErasedImages
from fedlethe.history.chain import Event
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import GONE, LOST, OVERWRITTEN, destroyed_with
from fedlethe.history.request_log import ErasureRequest
from fedlethe.requests.condemned import condemned
from fedlethe.requests.copies import reached
from fedlethe.requests.folder_checks import pages, stray_keys, strays
from fedlethe.requests.purge_record import abroad, because_of
from fedlethe.requests.remaining import base_at, what_remains
from fedlethe.requests.statement import ORDERED, PURGED, SignedFolder, SignedPurge, held_until
from fedlethe.requests.told import whose_stay
from fedlethe.runs.past import Lineage
from fedlethe.runs.records import from_json
from fedlethe.types import ClientId


def purge_facts(lineage: Lineage, request: ErasureRequest, purged: bool, due: str | None) -> SignedPurge:
    """What a certificate says of the purge.

    Args:
        lineage: The run's, locked.
        request: The request; its erasure is in the ledger.
        purged: Whether the purge is made.
        due: The date until which the traces are kept; None where they go at once, or are gone.
    """
    folders = lineage.folders
    facts: dict[str, Any] = {
        "encrypted": all(folder.store.encrypt for folder in folders),
        "keys_apart": all(folder.store.keys.apart for folder in folders),
        "backups": _backups(folders),
        "unnamed": list(not_in_ledger(folders)),
        "pages": _pages(folders, purged),
    }
    if purged:
        listed, gone = _gone(lineage, request)
        return SignedPurge(PURGED, listed, {**facts, **gone})
    return SignedPurge(held_until(due) if due else ORDERED, tuple(_going(lineage, request)), {"until": due, **facts})


def _backups(folders: Sequence[RunFolder]) -> str:
    """Whether copies of these run folders can be read that were made before the purge."""
    if not all(folder.store.encrypt for folder in folders):
        return "Not all files of clients were encrypted: copies of them can be read."
    # By the ledger, and not only by where they lie now: keys that were moved out lie in the copies from before.
    if all(folder.store.keys.apart and not folder.store.keys.made_inside for folder in folders):
        return (
            "The keys were kept apart from the run folder: the sealed files in a copy of it, which are those of single "
            "clients, cannot be read without them. Models are not sealed."
        )
    return (
        "Keys were kept in a run folder: in a copy that was made of it before, keys included, what they sealed can be "
        "read."
    )


def not_in_ledger(folders: Sequence[RunFolder]) -> Iterator[str]:
    """What lies in the folders of a run and of those that it began from, and is not in their ledgers, in words.

    It may be a copy of anything. The pages of `report` are among it until the purge removes them: nobody entered what
    they hold.
    """
    for folder in folders:
        yield from _not_in(folder)


def _pages(folders: Sequence[RunFolder], purged: bool) -> str:
    """Whether pages of `report` lie in the run folders now, and what the purge does with them."""
    if not (count := sum(len(pages(folder)) for folder in folders)):
        return "no page or picture of `report` lies in the run folders"
    then = "" if purged else "; the purge removes them"
    return f"{count} pages and pictures of `report`, which can show images of the clients, lie in the run folders{then}"


def _not_in(folder: RunFolder) -> Iterator[str]:
    where = f"run {folder.ledger.run_id}: "
    # Relative to the folder: a certificate leaves the machine, and its paths mean nothing elsewhere.
    for words in (*strays(folder), *stray_keys(folder)):
        yield where + words.removeprefix(f"{folder.path}/")
    yield from (f"{where}{name}: a page of `report`; nobody entered what it holds" for name in pages(folder))


def _going(lineage: Lineage, request: ErasureRequest) -> Iterator[SignedFolder]:
    """What is to be purged, and what stays, of the run and of those that it began from."""
    assert request.erasure is not None
    coming = whose_stay(lineage.history, lineage.parts(request.erasure), request, request.erasure)
    for one in condemned(lineage, request, request.erasure):
        folder, going = one.folder, {held.path: held.sha256 for held in one.artefacts}
        stays = (held for path, held in folder.ledger.artefacts().items() if path not in going)
        seq = folder.ledger.head().seq
        if folder is lineage.history:
            said = what_remains(folder, stays, seq, request.erasure, request.erasure, coming)
        else:
            said = what_remains(folder, stays, seq, None, base_at(folder, seq))
        yield SignedFolder(folder.ledger.run_id, going, {"remains": said})


def _gone(lineage: Lineage, request: ErasureRequest) -> tuple[tuple[SignedFolder, ...], dict[str, Any]]:
    """What was purged, and what stayed, of the run and of those that it began from."""
    listed = []
    for folder in lineage.folders:
        own = folder is lineage.history
        purge = purge_row(folder, request.id if own else abroad(lineage.history, request))
        erasure, seq = request.erasure if own else None, folder.ledger.head().seq
        found = purged_folder(folder, request.clients, purge, erasure, seq)
        elsewhere = [str(place) for place in folder.store.keys.out_of_sight()]
        listed.append(replace(found, facts={**found.facts, "keys_elsewhere": elsewhere}))
    own_purge = purge_row(lineage.history, request.id)
    outside = {"reached": reached(lineage.history, request.id)[0], "not_reached": list(not_reached(lineage, request))}
    return tuple(listed), {"at": own_purge.at, "images": len(images_of(lineage.history, own_purge).rows), **outside}


def not_reached(lineage: Lineage, request: ErasureRequest) -> tuple[str, ...]:
    """Where copies may be that the purge of a request, which was made or begun, did not get."""
    said = reached(lineage.history, request.id)[1]
    for folder in lineage.folders:
        name = request.id if folder is lineage.history else abroad(lineage.history, request)
        said = [*said, *images_of(folder, purge_row(folder, name)).not_reached]
    return tuple(dict.fromkeys(said))


def purge_row(folder: RunFolder, name: str) -> Event:
    """The ledger's row of a purge; exactly one, since a purge that was cut off is resumed and never entered again.

    Raises:
        ValueError: There is none, or there are two.
    """
    (event,) = (event for event in folder.ledger.events("purge") if event.body["request"] == name)
    return event


def images_of(folder: RunFolder, purge: Event) -> ErasedImages:
    """The images that a purge took."""
    store = folder.store
    return from_json(store.content(store.find(purge.body["images"])), ErasedImages)


def purged_folder(
    folder: RunFolder, clients: Sequence[ClientId], purge: Event, erasure: str | None, seq: int
) -> SignedFolder:
    """What a purge took from a run folder, and what stayed in it, by its ledger alone.

    Args:
        folder: The run folder.
        clients: Who was erased.
        purge: The purge's row.
        erasure: The request's; None in a run that the request's one began from.
        seq: The last row that counts.
    """
    because = because_of(purge.body["request"])
    files = {path: gone.artefact.sha256 for path, gone in folder.ledger.tombstones().items() if gone.because == because}
    stays = folder.ledger.artefacts_at(seq).values()
    said = what_remains(folder, stays, seq, erasure, base_at(folder, seq))
    return SignedFolder(folder.ledger.run_id, files, {**_keys_of(folder, clients, purge, seq), "remains": said})


def _keys_of(folder: RunFolder, clients: Sequence[ClientId], purge: Event, seq: int) -> dict[str, Any]:
    """What became of the keys that a purge destroyed, as the ledger's rows tell up to `seq`."""
    rows = [event for event in folder.ledger.events("key", "purge") if event.seq <= seq]
    # The keys of this purge alone: an earlier certificate has named those of the purges before it.
    going = destroyed_with(rows, purge)

    def told(what: str) -> set[str]:
        return {event.body["id"] for event in rows if event.kind == "key" and event.body["what"] == what}

    def of_clients(ids: set[str]) -> dict[str, list[str]]:
        found = {client: [id for id in going.get(client, []) if id in ids] for client in clients}
        return {client: held for client, held in found.items() if held}

    overwritten = told(OVERWRITTEN)
    return {
        "keys_destroyed": of_clients(overwritten),
        "keys_not_found": {
            "when the purge was resumed": of_clients(told(GONE) - overwritten),
            "said to be lost": of_clients(told(LOST) - overwritten),
        },
    }
