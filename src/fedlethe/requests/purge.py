# SPDX-License-Identifier: MIT
"""After an erasure: what is kept of the erased clients goes, and what the next erasure needs is rebased.

What goes of the run folder's files and keys, `condemned` says; besides, pages with the clients' images, and their
decoded images and features in the cache. Tombstones with the files' hashes stay in the ledger, as do the numbers: who
took part when, with which weight and loss, and evaluations.

What stays: the erasure's model, the initial one, and what else `condemned` leaves; and of each retained client that
took part in something its influence, rebased on the erasure's model (see `rebased`), unless these would tell of the
erased (see `told`). The next erasure begins there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from fedlethe.data.erased import ErasedImages, scrub
from fedlethe.erasing.patients import names_of
from fedlethe.erasing.secret import demand_no_former
from fedlethe.errors import RequestError
from fedlethe.files import removing
from fedlethe.history.chain import Body
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import REPLACED, Artefact, entries_of, removals
from fedlethe.history.keyring import destruction
from fedlethe.history.paths import erased_images_of
from fedlethe.history.request_log import ErasureRequest
from fedlethe.history.rows import FOLDERS
from fedlethe.history.store import JSON
from fedlethe.history.succession import Part
from fedlethe.requests.alone import is_certain, model_that_tells
from fedlethe.requests.condemned import Condemned, condemned, without_beside
from fedlethe.requests.copies import reach
from fedlethe.requests.folder_checks import pages
from fedlethe.requests.images_taken import SourceOfRun, images_taken, none_here
from fedlethe.requests.purge_checks import demand_whole
from fedlethe.requests.purge_record import Departure, WithoutRequest, abroad, because_of, is_purged
from fedlethe.requests.rebased import rebased_influences
from fedlethe.requests.told import what_stays_tells, whose_stay
from fedlethe.runs.images_erased import erased_images
from fedlethe.runs.past import Lineage, part_of
from fedlethe.runs.records import to_json
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId


def purge(run: OpenRun, request: ErasureRequest, base: str) -> None:
    """Purge what is kept of a request's clients; resumes where an earlier attempt was cut off.

    A ledger is told first, in one transaction: a kill at any moment leaves all of a folder's files in their place, or
    all of them condemned, to be removed when the purge is asked for again. `erase --request` and `purge` both ask.

    Args:
        run: The run, locked.
        request: The request; its erasure and certificate are in the ledger.
        base: The erasure whose model stays.

    Raises:
        FedletheError: The disk is full, a file cannot be removed, or an earlier run is in use.
    """
    # 1. Look: what goes, and whether anything would outlive it. A crash leaves everything as it was.
    for folder in run.lineage.folders:
        demand_no_former(folder.path)
    done = is_purged(run.history, request.id)
    # Now, since their key goes: after that no pseudonym has a name.
    patients = {} if done else names_of(run.images, run.history.store.keys, request.patients)
    own, *earlier = condemned(run.lineage, request, base)
    for target in (own, *earlier):
        demand_whole(target)

    # 2. Write the rebased influences. A crash leaves files that no ledger names; the next opening clears them away.
    made = [] if done else _rebased(run.history, run.parts(base), request, base)

    with ExitStack() as stack:
        # 3. Condemn in the runs before, each in one transaction. A crash leaves some of them told and the run itself
        #    not: the request is still `audited`, and the same command passes over those that were told.
        for target in earlier:
            stack.enter_context(target.folder.locked())
            if not is_purged(target.folder, abroad(run.history, request)):
                images = images_taken(target.folder, request, patients, lambda folder: SourceOfRun.of(folder, run))
                _condemn(target, request, abroad(run.history, request), None, images, [], run.history)

        # 4. Condemn in the run itself. From here on the purge is BEGUN: a crash leaves condemned files in their place.
        if not done:
            images = images_taken(run.history, request, patients, lambda _: SourceOfRun.of_open(run))
            _condemn(own, request, request.id, base, images, made)

        # 5. Remove what is condemned, in every run. A crash leaves some of it; this step goes through all tombstones,
        #    so that the next attempt removes the rest.
        for target in (own, *earlier):
            _finish(target.folder)
            target.folder.store.keys.demand_gone(request.clients)

    # 6. Reach for copies outside, and enter what could not be reached. A crash before the row leaves none: it is made
    #    again. The caller then signs the last certificate, and the request's state says that the purge is done.
    flower_run = None if run.remote is None else run.remote.flower_run
    reach(run.lineage.folders, request.id, request.clients, flower_run, _beside(run.lineage, request, base))


def _beside(lineage: Lineage, request: ErasureRequest, base: str) -> Iterator[str]:
    """The models of earlier runs that tell, beside the one after, what is left of the clients, in words."""
    for number, part in enumerate(lineage.earlier):
        for id in sorted(without_beside(lineage, number, request, base)[1]):
            assert isinstance(part.history, RunFolder)
            yield (
                f"run {part.history.ledger.run_id}: the model of erasure {id} was made without "
                f"{', '.join(request.clients)}, and is what a request of that run came to, so it stays: whoever has it "
                "and the model after can work out what is left of them"
            )


def purge_recorded(history: RunFolder, clients: Sequence[ClientId], base: str, flower_run: int | None) -> None:
    """The same where only the history is at hand: of an app of one's own on Flower (see `flower.Erasing`).

    The steps and what a crash leaves are those of `purge`; the app calls it again.

    Args:
        history: What was recorded, locked.
        clients: Who was erased.
        base: The erasure; it is in the ledger.
        flower_run: See `copies.reach`.

    Raises:
        FedletheError: What stays would tell what the clients put in, or what `purge` raises.
    """
    request = WithoutRequest(erasure=base, clients=tuple(clients))
    if not is_purged(history, request.id):
        parts = [part_of(history, base)]
        if (model := model_that_tells(parts, request)) is not None:
            raise RequestError(
                f"erasure {base}: nobody who stays trained since {model}, which stays: the model after less that one "
                f"would tell what {', '.join(clients)} put in; repair it with those who stay, enter that, then purge"
            )
        measured = None if is_certain(history, base) else what_stays_tells(history, parts, request, base)
        if measured is not None and measured.fails:
            raise RequestError(
                f"erasure {base}: the models that stay tell all but {measured.apart:.0%} of what {', '.join(clients)} "
                "put in; repair it with those who stay, for more rounds, or subtract all of it, enter that, then purge"
            )
        target = condemned(Lineage(history), request, base)[0]
        demand_whole(target)
        made = _rebased(history, parts, request, base)
        _condemn(target, request, request.id, base, none_here(request.clients), made)
    _finish(history)
    reach([history], request.id, request.clients, flower_run)


def _rebased(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> list[Artefact]:
    """The influences that stay; none where they are not kept, are of another training than the model, or would tell."""
    return rebased_influences(history, parts, request, base, whose_stay(history, parts, request, base))


def _condemn(
    target: Condemned,
    request: Departure,
    name: str,
    base: str | None,
    images: ErasedImages,
    made: list[Artefact],
    later: RunFolder | None = None,
) -> None:
    """Tell the ledger all at once: what was made, what is removed and destroyed, by which purge, of a `later` run."""
    store = target.folder.store
    # Two later runs can each have a request R0001: in a run before them the ledger's length tells their lists apart.
    listed = erased_images_of(request.id if base else str(target.folder.ledger.head().seq))
    content = to_json(images, ErasedImages).encode()
    made = [*made, store.write("erasure", listed, None, [content], ending=JSON)]
    rows: list[tuple[str, Body]] = entries_of(made)
    rows += removals((artefact.path for artefact in target.artefacts), because_of(name))
    for client, ids in target.keys.items():
        rows += destruction(client, ids)
    facts: dict[str, Any] = {"request": name, "erasure": base, "clients": list(request.clients), "images": listed}
    if later is not None:  # so that who asks here is told where to go on
        facts["folder"] = os.path.relpath(later.path.resolve(), target.folder.path.resolve())
    target.folder.ledger.append([*rows, ("purge", facts)])


def _finish(folder: RunFolder) -> None:
    """Remove what is condemned; durable when it returns."""
    store = folder.store
    store.remove([name for name, gone in folder.ledger.tombstones().items() if gone.because != REPLACED])
    store.keys.finish()
    store.remove(pages(folder))  # they show the clients' images and whose classes are whose; `report` makes them anew
    answers = folder.path / FOLDERS["answers"]  # also what an audit wrote and did not come to enter
    with removing(answers):
        if answers.exists():
            shutil.rmtree(answers)
    store.prune()
    scrub(erased_images(folder))
