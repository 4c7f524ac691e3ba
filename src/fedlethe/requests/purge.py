# SPDX-License-Identifier: MIT
"""After an erasure: what is kept of the erased clients goes, and what the next erasure needs is rebased.

What goes: every file of the erased clients; every model that may hold them (the global checkpoints from their first
round on, and where influences are kept all but the initial one; the models of other erasures); the retained clients'
deltas and norms; answers of audits, and pages with the clients' images; their decoded images and features in the cache;
their keys. Tombstones with the files' hashes stay in the ledger, as do the numbers: who took part when, with which
weight and loss, and evaluations.

What stays: the erasure's model, the initial one, models that never held the clients; and of each retained client
its influence, rebased on the erasure's model (see `rebased`). The next erasure begins from there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.config import RunConfig
from fedlethe.data.erased import ErasedImages, array_of, client_fingerprint, identities, kept_array, scrub, without
from fedlethe.data.federated import SPLITS, FederatedData, Split
from fedlethe.data.holdings import beyond_reach
from fedlethe.erasing.claims import first_round
from fedlethe.erasing.patients import OfClients, names_of
from fedlethe.erasing.secret import MASKS, demand_no_former
from fedlethe.errors import RequestError
from fedlethe.files import removing
from fedlethe.history.chain import Body
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import REPLACED, Artefact, removals
from fedlethe.history.keyring import LOST, destruction
from fedlethe.history.request_log import BEGUN, ErasureRequest, requests_of
from fedlethe.history.sent_statistics import CHOSEN, SUMS
from fedlethe.history.store import JSON
from fedlethe.history.succession import Part, Succession
from fedlethe.later import torch
from fedlethe.requests.copies import reach
from fedlethe.requests.folder_checks import pages
from fedlethe.runs.images_erased import applicable, erased_images
from fedlethe.runs.lineage import held_by, models_holding
from fedlethe.runs.past import part_of
from fedlethe.runs.preparing import divided, load_data
from fedlethe.runs.records import to_json
from fedlethe.runs.remote import REMOTE
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import config_of, read_run_document
from fedlethe.types import ClientId, Need, Vector

OF_NODES = "the caches of the clients' own machines: run fedlethe cache clear there"
"""What a purge says of images that were never on this machine."""

AUDITS_FOLDER = "audits"
"""The folder of what models answered to the clients' images."""

BESIDE = "beside"
"""The file of what an app of one's own sends beside the vector (see `flower.Erasing`), in an erasure's folder."""


@dataclass(frozen=True, slots=True)
class Condemned:
    """What a purge takes from one run folder.

    Attributes:
        folder: The run folder.
        artefacts: The files that go.
        keys: Client to the ids of its keys that are destroyed.
    """

    folder: RunFolder
    artefacts: tuple[Artefact, ...]
    keys: Mapping[ClientId, tuple[str, ...]]


def condemned(run: OpenRun, request: ErasureRequest, base: str) -> list[Condemned]:
    """What the purge of a request takes, from the run itself first, then from those that it began from.

    Args:
        run: The run.
        request: Whose clients are erased.
        base: The erasure whose model stays.
    """
    found = []
    for number, folder in enumerate(folders_of(run)[::-1]):
        own = folder is run.history
        files = _files(folder, run.earlier[:number], request, base if own else None)
        found.append(Condemned(folder, tuple(files), _keys(folder, request, own)))
    return found[::-1]


def folders_of(run: OpenRun) -> list[RunFolder]:
    """The run's folder, then those that it began from, the nearest first."""
    earlier = [part.history for part in run.earlier if isinstance(part.history, RunFolder)]
    return [run.history, *earlier[::-1]]


def _files(folder: RunFolder, before: Sequence[Part], request: ErasureRequest, base: str | None) -> Iterator[Artefact]:
    """What a purge takes from a folder that began from what the parts `before` led to."""
    gone = frozenset(request.clients)
    holds_them = bool(gone & held_by(before))
    holding = models_holding(folder, before, gone)
    rounds = (round for round in range(1, folder.rounds + 1) if gone & set(folder.weights(round)))
    first = 0 if holds_them else next(rounds, folder.rounds + 1)
    # A model from before the client came less the initial one is the influence of those who took part alone until then.
    since = min(first, 1) if has_influence(folder.keep) and first <= folder.rounds else first
    held = _on_hold(folder, None if base is None else request)
    kept = {f"erasures/{base}/{name}" for name in ("model", BESIDE)}
    revised = {f"erasures/{request.erasure}/statistics/{client}" for client in request.patients}
    for artefact in folder.ledger.artefacts().values():
        name = artefact.path.rpartition(".")[0]
        if artefact.client in gone:
            if name not in revised:
                yield artefact
        elif artefact.client is not None:
            if artefact.client not in held and _superseded(artefact, folder):
                yield artefact
        elif artefact.kind == "answers":
            yield artefact
        elif artefact.kind == "global checkpoint":
            if artefact.round is not None and artefact.round >= since:
                yield artefact
        elif name in (SUMS, CHOSEN) or artefact.kind == "server state":
            if first <= folder.rounds:
                yield artefact
        elif _is_model(artefact) and name not in kept and name.split("/")[1] in holding:
            yield artefact


def _is_model(artefact: Artefact) -> bool:
    """Whether a file is an erasure's model, or what an app sends beside it."""
    return artefact.kind == "erasure" and not artefact.path.endswith(JSON)


def _superseded(artefact: Artefact, folder: RunFolder) -> bool:
    """Whether a retained client's file is not kept beside its rebased influence."""
    if artefact.kind == "erasure":
        return "/repair/" in artefact.path or "/influence/" in artefact.path
    return artefact.kind in ("client delta", "norms", "influence")


def _on_hold(folder: RunFolder, request: ErasureRequest | None) -> set[ClientId]:
    """Clients whose own purge is still to come: their files wait for it; `request` is the folder's own, if any."""
    others = [other for other in requests_of(folder.ledger).values() if request is None or other.id != request.id]
    return {client for other in others if other.held_until is not None for client in other.clients}


def _keys(folder: RunFolder, request: ErasureRequest, own: bool) -> dict[ClientId, tuple[str, ...]]:
    living = {client: folder.store.keys.living(client) for client in (*request.clients, MASKS)}
    # Who stays in part has a new key since the erasure, which seals what came of it.
    stays = request.patients if own else ()
    for client, lost in folder.store.keys.lost().items():  # so that one that turns up later is destroyed, too
        if client in request.clients:
            living[client] = [*living[client], *(id for id in lost if id not in living[client])]
    newest = {client: folder.store.keys.newest(client) for client in stays}
    going = {client: tuple(id for id in ids if id != newest.get(client)) for client, ids in living.items()}
    return {client: ids for client, ids in going.items() if ids}


# The next erasure's history


def rebased(
    history: RunFolder,
    parts: Sequence[Part],
    base: str,
    gone: Sequence[ClientId],
    patients: Mapping[ClientId, object],
) -> Iterator[tuple[ClientId, Vector]]:
    """Each retained client's influence on the erasure's model, shape (P,).

    I'_k = I_k + s_k (w' - w_0 - sum of the I_j), where w' is the erasure's model, I_j what the retained client j put
    into it by the rounds and the repairs, and s_k the share of k's squared weights among the retained (see `_shares`).

    Formal guarantees:
        w_0 + sum of the I'_k = w', to rounding. With r = w' - w_0 - sum of the I_j, which holds what is left of the
        erased client, every kept vector is I'_k = I_k + s_k r: one equation more than there are kept vectors would be
        needed to solve for r. And where the clients' updates are independent of each other, with equal variances, the
        best linear estimate of r from all I'_k weighs each by s_k / n_k, which is the same for all: it is the one from
        their sum, and so from the model alone. Nothing else that is kept may tell an I_k: that is why the deltas, the
        first round's too, and the norms go (a client that took part in round one alone has p_k delta_k,1 for its
        influence).

    Args:
        history: The run's.
        parts: All trainings that led to the erasure's model.
        base: The erasure whose model stays.
        gone: Who is erased.
        patients: Clients that came back without some patients: what they did before the erasure does not count.
    """
    final, own_training = history.erased_model(base), bool(history.anew(base))
    past = Succession(parts, final)
    zero = torch.zeros(past.layout.size)

    def influence(client: ClientId) -> torch.Tensor:
        if client in patients and not own_training:
            return history.repair(base).get(client, zero).double()
        known = Need.INFLUENCE in past.keep or any(part.anew for part in past.parts)
        return (past.influence(client) if known else _summed(past, client)).double()

    rest = final.double() - past.initial().double()
    for client in past.clients:
        rest -= influence(client)
    for client, share in _shares(past, gone, patients).items():
        yield client, (influence(client) + share * rest).float()


def _summed(past: Succession, client: ClientId) -> Vector:
    """A client's influence from its deltas."""
    total = torch.zeros(past.layout.size)
    for part in past.parts:
        for round in range(1, part.history.rounds + 1):
            if (weight := part.history.weights(round).get(client)) is not None:
                total.add_(part.history.delta(round, client), alpha=weight)
    return total


def _shares(past: Succession, gone: Sequence[ClientId], patients: Mapping[ClientId, object]) -> dict[ClientId, float]:
    """s_k = n_k / sum of the n_j, n_k the sum of a client's squared weights over the rounds since the erased one came.

    n_k is the variance that updates independent of each other give to that part of I_k. In proportion to it, what is
    put on each client is as well covered by the client's own updates as on any other, and the sum tells all that can
    be told. Rounds before do not count: what a run held then can be known from its models, and covers nothing. Where
    nobody who stays took part since, all rounds count. A client that took part in nothing carries nothing: its I_k is
    known to be zero.
    """
    since = _squares(past, first_round(past.parts, gone) or 1, patients)
    squares = since if any(since.values()) else _squares(past, 1, patients)
    if not any(squares.values()):
        repairers = {client for part in past.parts for client in part.repair}
        squares = {client: float(client in repairers or not repairers) for client in squares}
    total = sum(squares.values())
    return {client: square / total for client, square in squares.items()}


def _squares(past: Succession, first: int, patients: Mapping[ClientId, object]) -> dict[ClientId, float]:
    """Each client's squared weights, summed over the rounds from `first` on, which are counted over all parts."""
    squares, number = dict.fromkeys(past.clients, 0.0), 0
    for part in past.parts:
        for round in range(1, part.history.rounds + 1):
            number += 1
            for client, weight in part.history.weights(round).items():
                if number >= first and client in squares and client not in patients:
                    squares[client] += weight**2
    return squares


# Whose images


@dataclass(frozen=True, slots=True)
class _Source:
    """A run's data: its configuration, its images as they are now, and those that purges took before."""

    config: RunConfig
    images: FederatedData
    before: tuple[ErasedImages, ...]

    @classmethod
    def of(cls, folder: RunFolder) -> _Source:
        """The data of a run that another one began from."""
        config, before = config_of(folder.path), erased_images(folder)
        images = load_data(config, before)
        return cls(config, without(images, applicable(images, before)), before)

    @classmethod
    def of_open(cls, run: OpenRun) -> _Source:
        """The data of the run itself, which are loaded already."""
        before = erased_images(run.history)
        left = run.images.without({client for one in before for client in one.clients} & set(run.images.clients))
        return cls(run.config, left, before)


def _taken(
    folder: RunFolder, request: ErasureRequest, patients: OfClients, source: Callable[[RunFolder], _Source]
) -> ErasedImages:
    """The images that the purge of a request takes; none of a run on nodes, whose images were never here."""
    if REMOTE in read_run_document(folder.path)["run"]:
        return ErasedImages(array=None, rows=(), clients=request.clients, not_reached=(OF_NODES,))
    return _images_of(source(folder), request, patients)


def _images_of(source: _Source, request: ErasureRequest, patients: OfClients) -> ErasedImages:
    """The images that the purge of a request takes; `patients` are the names of those of clients erased in part."""
    clients = [client for client in request.clients if client in source.images.clients]
    before = applicable(load_data(source.config, source.before), source.before)
    plain = without(divided(source.config, source.before), before)  # those of a backdoor lie elsewhere
    rows: set[int] = set()
    positions: dict[ClientId, dict[Split, tuple[int, ...]]] = {}
    for client in clients:
        for split in SPLITS:
            held = plain.clients[client].split(split)
            mask = np.ones(len(held), dtype=np.bool_)
            if client in patients:
                mask = np.isin(np.array([]) if held.groups is None else held.groups, list(patients[client]))
                positions.setdefault(client, {})[split] = tuple(np.flatnonzero(mask).tolist())
        rows |= set(plain.rows_of(client, patients.get(client)).tolist())
    found = ErasedImages(
        array=array_of(_array(plain)),
        rows=tuple(sorted(rows)),
        clients=tuple(client for client in clients if client not in patients),
        positions=positions,
    )
    left = without(source.images, [found])
    return replace(
        found,
        retained={client: client_fingerprint(left, client) for client in left.clients},
        not_reached=beyond_reach(identities(found), _kept([*source.before, found])),
    )


def _kept(erased: Sequence[ErasedImages]) -> tuple[Path, ...]:
    kept = kept_array(erased)
    return () if kept is None else (kept,)


def _array(data: FederatedData) -> npt.NDArray[Any]:
    return next(iter(data.clients.values())).train.images


# The purge itself


def purge(run: OpenRun, request: ErasureRequest, base: str) -> None:
    """Purge what is kept of a request's clients; going on where an earlier attempt was cut off.

    The ledger is told first, in one transaction: a kill at any moment leaves all of it in its place, or all of it
    condemned, to be removed when the purge is asked for again.

    Args:
        run: The run, locked.
        request: The request; its erasure and certificate are in the ledger.
        base: The erasure whose model stays.

    Raises:
        FedletheError: The disk is full, a file cannot be removed, or an earlier run is in use.
    """
    for folder in folders_of(run):
        demand_no_former(folder.path)
    done = is_purged(run.history, request.id)
    patients = {} if done else names_of(run, request.patients)
    own, *earlier = condemned(run, request, base)
    with ExitStack() as stack:
        for target in (own, *earlier):  # what the ledger calls living must be there before anything is condemned
            _demand_keys(target)
            _demand_one_name(target)
        # What can fail is done before anything is condemned, in whichever folder.
        made = [] if done else _influences(run.history, run.parts(base), request, base)
        for target in earlier:
            stack.enter_context(target.folder.locked())
            if not is_purged(target.folder, abroad(run, request)):
                images = _taken(target.folder, request, patients, _Source.of)
                _condemn(target, request, abroad(run, request), None, images, [])
        if not done:
            images = _taken(run.history, request, patients, lambda _: _Source.of_open(run))
            _condemn(own, request, request.id, base, images, made)
        for target in (own, *earlier):
            _finish(target.folder)
            target.folder.store.keys.demand_gone(request.clients)
    reach(folders_of(run), request.id, request.clients)


def enter_lost(run: OpenRun, request: ErasureRequest, lost: Mapping[str, str]) -> None:
    """Enter of every key that is to be destroyed and cannot be found: somebody says it is lost.

    Args:
        run: The run, locked.
        request: Whose keys are to be destroyed; not the new one of a client that lost patients alone.
        lost: Who says so ('by'), and why ('why').
    """
    for folder in folders_of(run):
        keys = folder.store.keys
        again = request.patients if folder is run.history and request.erasure is not None else ()
        gone = [
            (client, id)
            for client in request.clients
            for id in keys.missing(client, keys.living(client))
            if client not in again or id != keys.newest(client)
        ]
        if gone:
            with nullcontext() if folder is run.history else folder.locked():
                folder.ledger.append(
                    [("key", {"client": client, "id": id, "what": LOST, **lost}) for client, id in gone]
                )


def demand_keys(run: OpenRun, request: ErasureRequest, base: str) -> None:
    """Refuse a purge whose keys are not all there, before anything of it is signed.

    Args:
        run: The run, locked.
        request: Whose purge it is; nothing is asked of one that is begun.
        base: The erasure whose model stays.

    Raises:
        FedletheError: A key is missing, damaged, or goes by another name, too; or a file has another name.
    """
    if is_purged(run.history, request.id):
        return
    for target in condemned(run, request, base):
        _demand_keys(target)
        _demand_one_name(target)


def demand_finished(run: OpenRun, request: ErasureRequest) -> None:
    """Refuse to purge where a request of an earlier run is under way: it needs the models that would go.

    Raises:
        FedletheError: One is; nothing is asked of a purge that is begun.
    """
    if is_purged(run.history, request.id):
        return
    for folder, other in ((one, other) for one in folders_of(run)[1:] for other in requests_of(one.ledger).values()):
        if other.state in ("running", "audited"):
            raise RequestError(f"{folder.path}: its request {other.id} is {other.state}; finish it first")
        if other.purge not in (None, "done"):
            until = "has a purge that was cut off" if other.purge == BEGUN else f"keeps its traces until {other.purge}"
            raise RequestError(
                f"{folder.path}: its request {other.id} {until}; purge it first, when it is due: "
                f"fedlethe purge {folder.path}"
            )


def _demand_keys(target: Condemned) -> None:
    """Refuse to condemn keys that are not there: what is said to be destroyed would live on elsewhere."""
    keys = target.folder.store.keys
    for client, ids in target.keys.items():
        keys.demand(client, [id for id in ids if id in keys.living(client)])


def _demand_one_name(target: Condemned) -> None:
    """Refuse to condemn files that go by another name, too, and would live on under it."""
    for artefact in target.artefacts:
        path = target.folder.store.place(artefact.path)
        if path.is_symlink():
            raise RequestError(f"{path}: is a link, which fedlethe does not make; put the file itself in its place")
        if path.exists() and (names := path.stat().st_nlink) > 1:
            raise RequestError(
                f"{path}: has {names - 1} other names (hard links), under which the purge would leave it; remove them "
                f"first: find / -xdev -samefile {path}"
            )


def abroad(run: OpenRun, request: ErasureRequest) -> str:
    """What a request is called in the ledger of a run that this one began from."""
    return f"{request.id} of run {run.history.ledger.run_id}"


def because_of(request: str) -> str:
    """What tombstones say of the purge of a request."""
    return f"purge of request {request}"


def is_purged(folder: RunFolder, request: str) -> bool:
    """Whether the ledger says that the purge of a request was made, or begun."""
    return any(event.body["request"] == request for event in folder.ledger.events("purge"))


def purge_recorded(history: RunFolder, clients: Sequence[ClientId], base: str) -> None:
    """The same where only the history is at hand: of an app of one's own on Flower (see `flower.Erasing`).

    Args:
        history: What was recorded, locked.
        clients: Who was erased.
        base: The erasure; it is in the ledger.
    """
    request = ErasureRequest(
        id=f"erasure-{base}",
        opened="",
        clients=tuple(clients),
        reason="",
        by="",
        legal_ground="",
        deadline="",
        erasure=base,
    )
    if not is_purged(history, request.id):
        target = Condemned(history, tuple(_files(history, (), request, base)), _keys(history, request, True))
        _demand_keys(target)
        _demand_one_name(target)
        made = _influences(history, [part_of(history, base)], request, base)
        images = ErasedImages(array=None, rows=(), clients=request.clients, not_reached=(OF_NODES,))
        _condemn(target, request, request.id, base, images, made)
    _finish(history)
    reach([history], request.id, request.clients)


def _influences(history: RunFolder, parts: Sequence[Part], request: ErasureRequest, base: str) -> list[Artefact]:
    first = max((index for index, part in enumerate(parts) if part.anew), default=0)
    if not all(has_influence(part.keep) for part in parts[first:]) or _of_another_training(
        history, parts, request, base
    ):
        return []
    return [
        history.store.save("influence", f"influence/{client}/{request.id}", client, vector, history.layout)
        for client, vector in rebased(history, parts, base, request.clients, request.patients)
    ]


def _of_another_training(history: RunFolder, parts: Sequence[Part], request: ErasureRequest, base: str) -> bool:
    """Whether the influences that are kept are of a training with the erased, and something is certain of the model.

    They would bring back what the others' updates took up from the erased, into a model that never held it.
    """
    if parts[-1].anew or first_round(parts, request.clients) is None:
        return False
    if not history.store.holds(f"erasures/{base}/erasure"):  # of an app of one's own: nothing is claimed of it
        return False
    return json.loads(history.erasure_record(base)).get("guarantee") is not None


def _condemn(
    target: Condemned, request: ErasureRequest, name: str, base: str | None, images: ErasedImages, made: list[Artefact]
) -> None:
    """Tell the ledger all at once: what was made, what is removed and destroyed, and by which purge."""
    store = target.folder.store
    listed = f"erasures/images-{request.id if base else target.folder.ledger.head().seq}"
    content = to_json(images, ErasedImages).encode()
    made = [*made, store.write("erasure", listed, None, [content], ending=JSON)]
    rows: list[tuple[str, Body]] = [("artefact", asdict(artefact)) for artefact in made]
    rows += removals((artefact.path for artefact in target.artefacts), because_of(name))
    for client, ids in target.keys.items():
        rows += destruction(client, ids)
    facts = {"request": name, "erasure": base, "clients": list(request.clients), "images": listed}
    target.folder.ledger.append([*rows, ("purge", facts)])


def _finish(folder: RunFolder) -> None:
    """Remove what is condemned; durable when it returns."""
    store = folder.store
    store.remove([name for name, gone in folder.ledger.tombstones().items() if gone.because != REPLACED])
    store.keys.finish()
    store.remove(pages(folder))  # they show the clients' images and whose classes are whose; `report` makes them anew
    with removing(folder.path / AUDITS_FOLDER):
        if (folder.path / AUDITS_FOLDER).exists():
            shutil.rmtree(folder.path / AUDITS_FOLDER)
    store.prune()
    scrub(erased_images(folder))
