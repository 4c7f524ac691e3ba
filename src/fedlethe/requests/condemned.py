# SPDX-License-Identifier: MIT
"""What a purge condemns: which files and which keys, in the run and in those that it began from.

What goes: every file of the erased clients; every model that may hold them (the global checkpoints from their first
round on; all but the initial one where influences are kept, or the erasure's model may hold something of the clients;
the models of other erasures); the retained clients' deltas and norms; answers of audits; the erased clients' keys.

What stays: the erasure's model, the initial one; models that never held the clients, in the runs before, or where
nothing of the clients is in the erasure's; files of clients whose own purge is still to come; records, certificates,
pictures and studies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedlethe.erasing.secret import MASKS
from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import Artefact
from fedlethe.history.paths import Kind, erasure_of, kind_of, name_of, of_erasure
from fedlethe.history.request_log import requests_of
from fedlethe.history.succession import Part
from fedlethe.requests.alone import leaves_something
from fedlethe.requests.purge_record import Departure
from fedlethe.runs.lineage import held_by, models_holding, models_without, put_in, up_to
from fedlethe.runs.past import Lineage, chain_of
from fedlethe.types import ClientId

REBASED = frozenset({Kind.CLIENT_DELTA, Kind.NORMS, Kind.INFLUENCE, Kind.INFLUENCE_ANEW, Kind.REPAIR})
"""Files of retained clients that are not kept beside their rebased influences: together they would tell the rest."""

OF_ALL = frozenset({Kind.SUMS, Kind.CHOSEN, Kind.SERVER_STATE})
"""Files that are made of all clients at once, and hold the erased ones from the round on in which they came."""

MODELS = frozenset({Kind.MODEL, Kind.BESIDE, Kind.UNKNOWN})
"""Files of an erasure that hold what its model holds. What this version does not know may hold as much."""


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


def condemned(lineage: Lineage, request: Departure, base: str) -> list[Condemned]:
    """What the purge of a request takes, from the run itself first, then from those that it began from.

    Args:
        lineage: The run's.
        request: Whose clients are erased.
        base: The erasure whose model stays.
    """
    parts = [*lineage.earlier, up_to(lineage.history, base)]
    told = leaves_something(lineage.history, base) or _told(parts, request)
    found = []
    for number, folder in enumerate(lineage.folders[::-1]):
        own, before = base if folder is lineage.history else None, lineage.earlier[:number]
        beside = _beside(folder, base) if own else without_beside(lineage, number, request, base)[0]
        files = _files(folder, before, request, own, 1 if told else None, beside)
        found.append(Condemned(folder, tuple(files), _keys(folder, request, own is not None)))
    return found[::-1]


def _told(parts: Sequence[Part], request: Departure) -> bool:
    """Whether the global models of these trainings would tell, beside the influences, what is left of the clients.

    Such a model less the initial one is the influence of those who took part alone until then. That is kept rebased,
    with a share of what is left of the clients in it, whether a round, an erasure or a later run put that there.
    """
    return any(has_influence(part.keep) for part in parts) and put_in(parts, frozenset(request.clients))


def _files(
    folder: RunFolder,
    before: Sequence[Part],
    request: Departure,
    base: str | None,
    from_round: int | None,
    beside: frozenset[str],
) -> Iterator[Artefact]:
    """What the purge of a request takes from one run folder.

    Args:
        folder: The run folder.
        before: The trainings and erasures that it began from.
        request: Whose clients are erased.
        base: The erasure whose model stays; None where it is in a later run, and the request, too.
        from_round: The first round whose global model would tell something, without holding the clients; None where
            there is none.
        beside: The erasures whose models tell something beside the one that stays.
    """
    gone = frozenset(request.clients)
    holding = models_holding(folder, before, gone)
    rounds = (round for round in range(1, folder.rounds + 1) if gone & set(folder.weights(round)))
    # Where a run before this one held them, the model that this one began from does, too: its round 0.
    first = 0 if gone & held_by(before) else next(rounds, folder.rounds + 1)
    since = first if from_round is None else min(first, from_round)
    held = on_hold(folder, None if base is None else request)
    kept = set() if base is None else {of_erasure(base, Kind.MODEL), of_erasure(base, Kind.BESIDE)}
    revised = _revised(request)
    for artefact in folder.ledger.artefacts().values():
        kind = kind_of(artefact)
        if artefact.client in gone:
            goes = name_of(artefact) not in revised
        elif artefact.client is not None:
            goes = kind in REBASED and artefact.client not in held
        elif kind is Kind.GLOBAL_CHECKPOINT:
            goes = artefact.round is not None and artefact.round >= since
        elif kind in OF_ALL:
            goes = (since if kind is Kind.SERVER_STATE else first) <= folder.rounds
        elif kind in MODELS:
            goes = name_of(artefact) not in kept and erasure_of(artefact) in holding | beside
        else:
            goes = kind is Kind.ANSWERS  # to the clients' images, by models that hold them and by retrainings
        if goes:
            yield artefact


def _beside(folder: RunFolder, base: str) -> frozenset[str]:
    """The other erasures of a run, where the model that stays may hold something of the clients.

    Their models share with it what the retained clients did, so the difference would tell what is left of the erased
    ones: also a model that was made without them, or before they came. A request is refused where one without them is
    there already; what is made later, before the purge, goes with it.
    """
    return frozenset(folder.ledger.erasures().values()) - {base} if leaves_something(folder, base) else frozenset()


def without_beside(
    lineage: Lineage, number: int, request: Departure, base: str
) -> tuple[frozenset[str], frozenset[str]]:
    """The erasures of an earlier run whose models, made without the clients, tell what is left of them beside the base.

    Args:
        lineage: The run's.
        number: Which of the earlier runs, the first one 0.
        request: Whose clients are erased.
        base: The erasure whose model stays.

    Returns:
        Those that go, and those that stay, since they are what a request of that run came to.
    """
    part = lineage.earlier[number]
    folder = part.history
    assert isinstance(folder, RunFolder)
    if not leaves_something(lineage.history, base):
        return frozenset(), frozenset()
    passed = {id for id, _ in chain_of(folder, part.erasure)}  # its rounds are none of theirs
    beside = {*models_without(folder, lineage.earlier[:number], frozenset(request.clients))} - passed
    results = {one.erasure for one in requests_of(folder.ledger).values() if one.purge is not None}
    return frozenset(beside - results), frozenset(beside & results)


def _revised(request: Departure) -> set[str]:
    """Names of the statistics that clients which were erased in part have had since: the model is summed of them."""
    if request.erasure is None:
        return set()
    return {of_erasure(request.erasure, Kind.REVISED_STATISTICS, client) for client in request.patients}


def on_hold(folder: RunFolder, request: Departure | None) -> set[ClientId]:
    """Clients whose own purge is still to come: their files wait for it; `request` is the folder's own, if any."""
    others = [other for other in requests_of(folder.ledger).values() if request is None or other.id != request.id]
    return {client for other in others if other.held_until is not None for client in other.clients}


def _keys(folder: RunFolder, request: Departure, own: bool) -> dict[ClientId, tuple[str, ...]]:
    """The keys that go: the clients', and those that sealed the secrets of masks, which are nobody's."""
    living = {client: folder.store.keys.living(client) for client in (*request.clients, MASKS)}
    # Who stays in part has a new key since the erasure, which seals what came of it.
    stays = request.patients if own else ()
    for client, lost in folder.store.keys.lost().items():  # so that one that turns up later is destroyed, too
        if client in request.clients:
            living[client] = [*living[client], *(id for id in lost if id not in living[client])]
    newest = {client: folder.store.keys.newest(client) for client in stays}
    going = {client: tuple(id for id in ids if id != newest.get(client)) for client, ids in living.items()}
    return {client: ids for client, ids in going.items() if ids}
