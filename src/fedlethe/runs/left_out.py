# SPDX-License-Identifier: MIT
"""Who was erased stays out: of every training that begins from what the erasure led to, until taken back by name.

A client is known by its name; a patient by its name or pseudonym within its client; an image, under whatever name it
comes, by its keyed fingerprint (see `data.prints`), of which an erasure keeps those of the images that it took out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedlethe.data.erased import without
from fedlethe.data.federated import SPLITS, ClientData, FederatedData, Split
from fedlethe.data.prints import SHARE, prints
from fedlethe.errors import HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import PATIENTS
from fedlethe.runs.beginning import Beginning, LeftOut
from fedlethe.runs.erased_before import ErasedBefore, demand_erased
from fedlethe.runs.kept_prints import Prints
from fedlethe.types import ClientId

TRAINABLE = 2
"""Training images that a client must have."""

RETURNS = "it comes back if it is named among those to take back"
"""Said alike to who typed a command and who wrote Python, and kept in the run."""

ChosenRows = Mapping[Split, npt.NDArray[np.bool_]]
"""Split to one truth value for each of its examples, shape (n,)."""


@dataclass(frozen=True, kw_only=True)
class _Same:
    """The images of a client that are the same as images that one erasure took out.

    Args:
        owner: The erased client, or the one whose patients were erased.
        where: The erasure.
        whole: Whether the client was erased, and not patients of it.
        rows: The images.
    """

    owner: ClientId
    where: str
    whole: bool
    rows: ChosenRows


def compared(data: FederatedData, erased: ErasedBefore, after: str, take_back: tuple[ClientId, ...]) -> Beginning:
    """Where a training on these data begins, each client held against who was erased before it.

    Args:
        data: The images as they are now.
        erased: Who was erased before; those to take back are struck from it.
        after: The folder of the erasure that the training begins from, relative to the run's.
        take_back: Who takes part again.

    Raises:
        FedletheError: A name to take back was not erased or is not in the data, or nobody would be left.
    """
    known = {*erased.clients, *erased.patients}
    erased.taken_back(take_back)
    usable, problems = _usable(erased, data.image_shape)
    left, positions, same = list[LeftOut](), dict[ClientId, dict[Split, tuple[int, ...]]](), set[ClientId]()
    came_with: dict[ClientId, tuple[ClientId, ...]] = {}
    for client, held in data.clients.items():
        leave, named = erased.returned.get(client, frozenset()), client in take_back
        if named and client not in known:
            # An erased client's images under a new name: that name can be taken back, though no ledger has it.
            if owners := _whose(held, erased, usable):
                same.add(client)
                came_with[client] = tuple(sorted(owners))
            leave |= owners
        found = _reason(client, held, erased, usable, leave, named)
        if found is None:
            continue
        because, chosen = found
        if chosen is None:
            left.append(LeftOut(client=client, because=because))
        else:
            count = sum(int(mask.sum()) for mask in chosen.values())
            left.append(LeftOut(client=client, because=because, images=count))
            positions[client] = {split: tuple(np.flatnonzero(mask).tolist()) for split, mask in chosen.items()}
    demand_erased(take_back, known | same)
    for name in take_back:
        if name not in data.clients:
            raise HistoryError(f"take_back {name}: is not in the data; there is {', '.join(data.clients)}")
    begun = Beginning(
        after=after,
        take_back=take_back,
        came_with=came_with,
        left_out=tuple(left),
        not_checked=tuple(problems),
        positions=positions,
    )
    # What is left out in part may leave nothing, too, so the data are asked and not the names.
    if not without(data, begun.erased).clients:
        raise HistoryError(f"{after}: all clients in the data were erased before; name those to take back")
    return begun


def _usable(erased: ErasedBefore, shape: tuple[int, ...]) -> tuple[list[Prints], list[str]]:
    """The fingerprints that images of this shape can be held against, and why others cannot be."""
    usable, problems = list[Prints](), list[str]()
    covered: set[ClientId] = set()
    for one in erased.prints:
        # Prints of clients who were all taken back are not compared: their images may come in again.
        if not ({*one.clients} & {*erased.clients} or {*one.patients} & {*erased.patients}):
            continue
        covered |= {*one.clients, *one.patients}
        if one.key is None:
            problems.append(f"{one.where}: the key of its fingerprints is not at hand; set FEDLETHE_KEYS")
        elif one.shape != tuple(shape):
            problems.append(f"{one.where}: its fingerprints are of images of another size")
        else:
            usable.append(one)
    problems += [
        f"no fingerprints of {client}'s images were kept, so they are not known under another name"
        for client in sorted({*erased.clients, *erased.patients} - covered)
    ]
    return usable, problems


def _reason(
    client: ClientId,
    held: ClientData,
    erased: ErasedBefore,
    usable: Sequence[Prints],
    leave: Collection[ClientId],
    named: bool,
) -> tuple[str, ChosenRows | None] | None:
    """Why a client is left out, and which of its examples (None for all); or None.

    One that is named to be taken back is not left out as a whole, but without the images of others than `leave`.
    """
    if (because := erased.clients.get(client)) is not None:
        return f"{because}; {RETURNS}", None
    gone = _none_of(held)
    reasons = [f"of patients {where}" for _, _, where in _mark_patients(client, held, erased, gone)]
    same = _same(held, erased, usable, leave)
    for owner, count in _counts(same, gone).items():
        total = _size(gone)
        # So many of its images are the owner's that this is the owner, renamed: then all of it stays out.
        if count >= SHARE * total and owner in erased.clients and not named:
            because = f"{count} of its {total} images are those of {owner}, {erased.clients[owner]}"
            return f"{because}; {RETURNS}", None
    reasons += [words for one in same if (words := _mark_same(held, one, gone))]
    if not reasons:
        return None
    if int((~gone["train"]).sum()) < TRAINABLE:
        return f"too few of its images are left without those {reasons[0]}", None
    return "; ".join(dict.fromkeys(reasons)), gone


def _whose(held: ClientData, erased: ErasedBefore, usable: Sequence[Prints]) -> frozenset[ClientId]:
    """The erased clients of whose images these are: of so many that it was renamed; else of any at all."""
    none = _none_of(held)
    counts = _counts(_same(held, erased, usable, ()), none)
    most = frozenset(owner for owner, count in counts.items() if count >= SHARE * _size(none))
    return most or frozenset(counts)


def _none_of(held: ClientData) -> ChosenRows:
    return {split: np.zeros(len(held.split(split)), np.bool_) for split in SPLITS}


def _size(rows: ChosenRows) -> int:
    return sum(len(mask) for mask in rows.values())


def _mark_patients(
    client: ClientId, held: ClientData, erased: ErasedBefore, gone: ChosenRows
) -> Iterator[tuple[RunFolder, frozenset[str], str]]:
    """Mark the images of a client's erased patients; which erasures those are of."""
    for one in erased.patients.get(client, ()):
        folder, names, _ = one
        marked = 0
        for split, mask in gone.items():
            groups = held.split(split).groups
            if groups is None:
                continue
            chosen = np.isin(
                groups, [name for name in set(groups.tolist()) if _stands_for(folder, client, name, names)]
            )
            mask |= chosen
            marked += int(chosen.sum())
        if marked:
            yield one


def _stands_for(folder: RunFolder, client: ClientId, name: str, among: frozenset[str]) -> bool:
    """Whether a patient is among these, by its name or by its pseudonym in a run."""
    keys = folder.store.keys
    return name in among or (bool(keys.living(PATIENTS)) and keys.pseudonym(client, name) in among)


def _same(held: ClientData, erased: ErasedBefore, usable: Sequence[Prints], leave: Collection[ClientId]) -> list[_Same]:
    """The images of a client whose fingerprints were kept, by whose they were and by which erasure.

    The images of `leave` are in this client because the user said so.
    """
    # Prints are made once for each key, since all erasures of one run share it and making them reads every image.
    made: dict[str, dict[Split, npt.NDArray[np.str_]]] = {}
    found = []
    for one in usable:
        assert one.key is not None
        if one.key.id not in made:
            made[one.key.id] = {s: np.array(prints(one.key.secret, held.split(s)), dtype=np.str_) for s in SPLITS}
        for owners, known, whole in (
            (one.clients, erased.clients, True),
            (one.patients, erased.patients, False),
        ):
            for owner in sorted({*owners} & {*known} - {*leave}):
                rows = {split: np.isin(mine, list(owners[owner])) for split, mine in made[one.key.id].items()}
                found.append(_Same(owner=owner, where=one.where, whole=whole, rows=rows))
    return found


def _counts(same: Sequence[_Same], gone: ChosenRows) -> dict[ClientId, int]:
    """Owner to how many images are the same as one of its, by all erasures together, without those that are gone."""
    together: dict[ClientId, ChosenRows] = {}
    for one in same:
        before = together.get(one.owner, one.rows)
        together[one.owner] = {split: mask | before[split] for split, mask in one.rows.items()}
    counts = {owner: _marked(rows, gone) for owner, rows in together.items()}
    return {owner: count for owner, count in counts.items() if count}


def _marked(rows: ChosenRows, gone: ChosenRows) -> int:
    return sum(int((mask & ~gone[split]).sum()) for split, mask in rows.items())


def _mark_same(held: ClientData, same: _Same, gone: ChosenRows) -> str:
    """Mark images that are the same as an erased one, in words; "" where none is that was not marked before.

    Of a patient that has one image of an erased patient the others are marked, too: it is the same one.
    """
    rows: ChosenRows = {split: mask & ~gone[split] for split, mask in same.rows.items()}
    equal = _marked(rows, gone)
    if not same.whole:  # a client that was erased as a whole may share a patient with one that stays
        rows = _same_patients(held, rows)
    more = _marked(rows, gone) - equal
    for split, mask in gone.items():
        mask |= rows[split]
    if not equal:
        return ""
    whose = same.owner if same.whole else f"a patient of {same.owner}"
    words = f"the same as images of {whose}, erased by {same.where}"
    return f"{words} ({equal}), or of the patient here who has such an image ({more})" if more else words


def _same_patients(held: ClientData, hits: Mapping[Split, npt.NDArray[np.bool_]]) -> dict[Split, npt.NDArray[np.bool_]]:
    groups = {split: held.split(split).groups for split in SPLITS}
    names = {name for split, held_by in groups.items() if held_by is not None for name in held_by[hits[split]].tolist()}
    wider = {}
    for split, mask in hits.items():
        own = groups[split]
        wider[split] = mask if own is None else mask | np.isin(own, sorted(names))
    return wider
