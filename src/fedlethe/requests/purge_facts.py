# SPDX-License-Identifier: MIT
"""What a certificate says of the purge: what goes or is gone, what stays, and what nobody can know of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedlethe.history.chain import Event
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.keyring import GONE, IMAGES, LOST, OVERWRITTEN, destroyed_with
from fedlethe.history.paths import Kind, kind_of, of_erasure
from fedlethe.history.request_log import ErasureRequest, requests_of
from fedlethe.requests.condemned import condemned
from fedlethe.requests.copies import reached
from fedlethe.requests.folder_checks import pages, stray_keys, strays
from fedlethe.requests.purge_record import abroad, because_of, folders_of
from fedlethe.requests.statement import PURGED, SignedFolder, SignedPurge
from fedlethe.runs.images_erased import erased_images
from fedlethe.runs.run import OpenRun


def purge_facts(run: OpenRun, request: ErasureRequest, purged: bool, due: str | None) -> SignedPurge:
    """What a certificate says of the purge.

    Args:
        run: The run, locked.
        request: The request; its erasure is in the ledger.
        purged: Whether the purge is made.
        due: The date until which the traces are kept; None where they go at once, or are gone.
    """
    store = run.history.store
    apart = store.keys.apart
    backups = (
        "The keys were kept apart from the run folder: copies of the folder cannot be read without them."
        if apart
        else "The keys were kept in the run folder: a copy that was made of it before, keys included, can be read."
    )
    facts: dict[str, Any] = {
        "encrypted": store.encrypt,
        "keys_apart": apart,
        "backups": backups if store.encrypt else "The files were not encrypted: copies of them can be read.",
        "remains": _remains(run, request, purged),
        "unnamed": list(not_in_ledger(run)),
        "pages": _pages(run, purged),
    }
    if purged:
        listed, gone = _gone(run, request)
        return SignedPurge(PURGED, listed, {**facts, **gone})
    state = f"held: the traces are kept until {due}" if due else "ordered: it follows this certificate at once"
    assert request.erasure is not None
    found = condemned(run, request, request.erasure)
    going = [
        SignedFolder(one.folder.ledger.run_id, {held.path: held.sha256 for held in one.artefacts}) for one in found
    ]
    return SignedPurge(state, tuple(going), {"until": due, **facts})


def not_in_ledger(run: OpenRun) -> Iterator[str]:
    """What lies in the folders of a run and of those that it began from, and is not in their ledgers, in words.

    It may be a copy of anything. The pages of `report` are among it until the purge removes them: nobody entered what
    they hold.
    """
    for folder in folders_of(run):
        yield from _not_in(folder)


def _pages(run: OpenRun, purged: bool) -> str:
    """Whether pages of `report` lie in the run folders now, and what the purge does with them."""
    if not (count := sum(len(pages(folder)) for folder in folders_of(run))):
        return "no page or picture of `report` lies in the run folders"
    then = "" if purged else "; the purge removes them"
    return f"{count} pages and pictures of `report`, which can show images of the clients, lie in the run folders{then}"


def _not_in(folder: RunFolder) -> Iterator[str]:
    where = f"run {folder.ledger.run_id}: "
    # Relative to the folder: a certificate leaves the machine, and its paths mean nothing elsewhere.
    for words in (*strays(folder), *stray_keys(folder)):
        yield where + words.removeprefix(f"{folder.path}/")
    yield from (f"{where}{name}: a page of `report`; nobody entered what it holds" for name in pages(folder))


def _gone(run: OpenRun, request: ErasureRequest) -> tuple[tuple[SignedFolder, ...], dict[str, Any]]:
    """What was purged, from the run and from those that it began from."""
    listed, ledger = [], run.history.ledger
    # Exactly one: a purge that was cut off is resumed, and never entered a second time.
    (event,) = (event for event in ledger.events("purge") if event.body["request"] == request.id)
    for folder in folders_of(run):
        name = request.id if folder is run.history else abroad(run.history, request)
        purge = next(one for one in folder.ledger.events("purge") if one.body["request"] == name)
        tombstones = folder.ledger.tombstones().items()
        files = {path: gone.artefact.sha256 for path, gone in tombstones if gone.because == because_of(name)}
        listed.append(SignedFolder(folder.ledger.run_id, files, _keys_of(folder, request, purge)))
    done, missed = reached(run.history, request.id)
    taken = [erased_images(folder)[-1] for folder in folders_of(run)]
    not_reached = list(dict.fromkeys([*missed, *(words for one in taken for words in one.not_reached)]))
    outside = {"reached": done, "not_reached": not_reached}
    return tuple(listed), {"at": event.at, "images": len(taken[0].rows), **outside}


def _keys_of(folder: RunFolder, request: ErasureRequest, purge: Event) -> dict[str, Any]:
    """What became of the keys that this purge destroyed, and where keys may lie that could not be looked into."""
    keys = folder.store.keys
    # The keys of this purge alone: an earlier certificate has named those of the purges before it.
    going = destroyed_with(list(folder.ledger.events("key", "purge")), purge)

    def of_clients(*what: str) -> dict[str, list[str]]:
        said, found = keys.confirmed(*what), keys.confirmed(OVERWRITTEN)
        ids = {
            client: [
                id
                for id in going.get(client, [])
                if id in said.get(client, []) and (OVERWRITTEN in what or id not in found.get(client, []))
            ]
            for client in request.clients
        }
        return {client: held for client, held in ids.items() if held}

    return {
        "keys_destroyed": of_clients(OVERWRITTEN),
        "keys_not_found": {"when the purge was resumed": of_clients(GONE), "said to be lost": of_clients(LOST)},
        "keys_elsewhere": [str(place) for place in keys.out_of_sight()],
    }


def _remains(run: OpenRun, request: ErasureRequest, purged: bool) -> list[str]:
    """What stays: as it is now after a purge, else as the purge is to leave it.

    A later erasure's purge can have come first: it took this one's model, and rebased the influences on its own.
    """
    # Before a purge, what it is to leave; after it, what is there: the run may have another model by then.
    base = run.history.base if purged else request.erasure
    kept = ["the initial model", "the ledger: who took part when, weights, losses, evaluations, hashes"]
    kept = [*_models_left(run, request, purged, base), *kept]
    if has_influence(run.history.keep):
        of = "the model after" if base == request.erasure else f"the model of erasure {base}"
        kept.append(f"the retained clients' influences, rebased on {of}, so that the next erasure can be made")
    if run.history.store.keys.living(IMAGES):
        kept.append(
            "keyed fingerprints of the erased images, by which they are known when they come again under another name: "
            "whoever holds the run's key of them and has an image can tell whether it was among them"
        )
    if any(request.patients for request in requests_of(run.history.ledger).values()):
        kept.append(
            "pseudonyms of each erased patient, in the ledger and here: whoever holds the run's key of them can try "
            "names until one fits"
        )
    folders = folders_of(run)
    if any(kind_of(held) is Kind.STATISTICS for one in folders for held in one.ledger.artefacts().values()):
        kept.append("the retained clients' statistics, from which the model is summed again")
    return kept


def _models_left(run: OpenRun, request: ErasureRequest, purged: bool, base: str | None) -> Iterator[str]:
    """The models of erasures that stay, in this run and in those that it began from, in words."""
    assert request.erasure is not None
    going = (
        {}
        if purged
        else {one.folder.path: {two.path for two in one.artefacts} for one in condemned(run, request, request.erasure)}
    )
    for folder in folders_of(run):
        own = folder is run.history
        for id in folder.ledger.erasures().values():
            name = of_erasure(id, Kind.MODEL)
            if not folder.store.holds(name) or folder.store.find(name).path in going.get(folder.path, ()):
                continue
            if own and id == request.erasure:
                yield "the model after"
            elif own and id == base:
                yield f"the run's model now, which is that of erasure {id}"
            else:
                where = "" if own else f" of run {folder.ledger.run_id}"
                yield f"the model of erasure {id}{where}, which holds nothing of them by the record of how it was made"
