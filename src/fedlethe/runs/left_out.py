# SPDX-License-Identifier: MIT
"""Who was erased stays out: of every training that begins from what the erasure led to, until taken back by name.

A client is known by its name; a patient by its name or pseudonym within its client; an image, under whatever name it
comes, by its keyed fingerprint (see `data.prints`), of which an erasure keeps those of the images that it took out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedlethe.config import RunConfig
from fedlethe.data.erased import ErasedImages, array_of, client_fingerprint, without
from fedlethe.data.federated import SPLITS, ClientData, FederatedData, Split
from fedlethe.data.prints import SHARE, prints, prints_of
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import BEGAN, Artefact
from fedlethe.history.keyring import IMAGES, PATIENTS
from fedlethe.history.request_log import requests_of
from fedlethe.history.sealing import Key
from fedlethe.history.store import JSON
from fedlethe.history.succession import Part
from fedlethe.runs.beginning import Beginning, LeftOut
from fedlethe.runs.images_erased import purged_images
from fedlethe.runs.past import begun_parts, chain_of
from fedlethe.runs.preparing import divided, load_data
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import read_run_document
from fedlethe.types import ClientId

PRINTS = "fingerprints"
"""The file of an erasure's fingerprints, in its folder, without its ending."""

TRAINABLE = 2
"""Training images that a client must have."""

ChosenRows = Mapping[Split, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Prints:
    """The fingerprints that one erasure kept.

    Attributes:
        folder: The run.
        id: The erasure.
        key: What they were made with; None where its file is not at hand.
        shape: Of the images, (C, H, W).
        clients: Of each client that was erased as a whole, its images'.
        patients: Of each other client, those of its erased patients' images.
    """

    folder: RunFolder
    id: str
    key: Key | None
    shape: tuple[int, ...]
    clients: Mapping[ClientId, frozenset[str]]
    patients: Mapping[ClientId, frozenset[str]]

    @property
    def where(self) -> str:
        """The erasure, in words."""
        return f"erasure {self.id} of {self.folder.path}"


@dataclass(slots=True)
class ErasedBefore:
    """Who was erased on the way to where a run begins, and was not taken back since.

    Attributes:
        clients: Client to the erasure or purge that it was erased by, in words.
        patients: Of clients erased in part: the same, with what stands for each patient there.
        prints: The fingerprints that were kept.
        not_checked: What cannot be looked for, in words.
    """

    clients: dict[ClientId, str] = field(default_factory=dict)
    patients: dict[ClientId, list[tuple[RunFolder, frozenset[str], str]]] = field(default_factory=dict)
    prints: list[Prints] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @classmethod
    def before(cls, parts: Sequence[Part]) -> ErasedBefore:
        """Of these trainings and erasures, the first one first."""
        found = cls()
        for part in parts:
            assert isinstance(part.history, RunFolder)
            found._take(part.history, part.erasure)
        return found

    def taken_back(self, names: Iterable[ClientId]) -> None:
        """Have these clients, and their patients, take part again."""
        for name in names:
            self.clients.pop(name, None)
            self.patients.pop(name, None)

    def _take(self, folder: RunFolder, last: str | None) -> None:
        for event in folder.ledger.events(BEGAN):
            self.taken_back(event.body["take_back"])
        ids = []
        for request in requests_of(folder.ledger).values():
            if request.purge is not None and request.erasure is not None:
                ids.append(request.erasure)
                self._enter(folder, request.erasure, request.clients, request.patients)
        for one in purged_images(folder):
            self.clients |= {
                client: f"a purge of {folder.path}" for client in one.clients if client not in self.clients
            }
        for id, facts in chain_of(folder, last):
            ids.append(id)
            self._enter(folder, id, facts["forget"], facts.get("patients", {}))
            self.taken_back(facts.get("joined", ()))
        self.prints += kept_prints(folder, list(dict.fromkeys(ids)))

    def _enter(
        self, folder: RunFolder, id: str, clients: Iterable[ClientId], patients: Mapping[ClientId, Sequence[str]]
    ) -> None:
        where = f"erased by erasure {id} of {folder.path}"
        self.clients |= {client: where for client in clients if client not in patients}
        for client, names in patients.items():
            self.patients.setdefault(client, []).append((folder, frozenset(names), where))


# Fingerprints


def keep_prints(
    run: OpenRun, id: str, forget: Iterable[ClientId], patients: Mapping[ClientId, Sequence[str]]
) -> list[Artefact]:
    """Write the fingerprints of the images that an erasure takes out; none where they are on other machines.

    Args:
        run: The run, locked.
        id: The erasure.
        forget: Who is erased, whole or in part.
        patients: Client to its patients, where it is these alone; by their names.
    """
    whole = [client for client in sorted({*forget} - {*patients}) if client in run.images.clients]
    if run.remote is not None or not (whole or patients):
        return []
    keys = run.history.store.keys
    key = keys.images() or keys.renewed(IMAGES)
    facts = {
        "shape": list(run.images.image_shape),
        "clients": {client: prints_of(key.secret, run.images.clients[client]) for client in whole},
        "patients": {
            client: prints_of(key.secret, _of_patients(run.images.clients[client], names))
            for client, names in sorted(patients.items())
        },
    }
    content = json.dumps(facts).encode()
    return [run.history.store.write("erasure", f"erasures/{id}/{PRINTS}", None, [content], ending=JSON)]


def _of_patients(held: ClientData, names: Sequence[str]) -> ClientData:
    def chosen(split: Split) -> npt.NDArray[np.bool_]:
        groups = held.split(split).groups
        return np.zeros(len(held.split(split)), np.bool_) if groups is None else np.isin(groups, list(names))

    return ClientData(*(held.split(split).only(chosen(split)) for split in SPLITS))


def kept_prints(folder: RunFolder, ids: Sequence[str]) -> list[Prints]:
    """The fingerprints that these erasures of a run kept."""
    store, found = folder.store, []
    for id in ids:
        if store.holds(f"erasures/{id}/{PRINTS}"):
            held = json.loads(store.content(store.find(f"erasures/{id}/{PRINTS}")))
            sets = [{c: frozenset(one) for c, one in held[name].items()} for name in ("clients", "patients")]
            found.append(Prints(folder, id, key_of(folder), tuple(held["shape"]), *sets))
    return found


def key_of(folder: RunFolder) -> Key | None:
    """The key of a run's fingerprints; None where there is none, or its file is not at hand."""
    try:
        return folder.store.keys.images()
    except FedletheError:
        return None


# What a training does without


def beginning(config: RunConfig, out: Path, after: Path | None, take_back: Sequence[ClientId] = ()) -> Beginning:
    """Where a training in one process begins: as the run folder says that is there, else as it is asked for.

    Args:
        config: What to train.
        out: The run folder, there or not.
        after: The folder of an erasure; None for a fresh model.
        take_back: Who was erased before and takes part again.

    Raises:
        FedletheError: A name to take back was not erased, or nobody would be left.
    """
    if (held := held_beginning(out, after, take_back)) is not None:
        return held
    relative = relative_to(out, after)
    if relative is None:
        refuse_taking_back(take_back)
        return Beginning()
    with ExitStack() as stack:
        erased = ErasedBefore.before(begun_parts(out, relative, stack))
        gone = ErasedImages(array=None, rows=(), clients=tuple(erased.clients))  # a backdoor may have been theirs
        data = load_data(config, (gone,))
        begun = _compared(data, erased, relative, tuple(dict.fromkeys(take_back)))
        return _located(begun, data, divided(config)) if begun.left_out else begun


def _located(begun: Beginning, planted: FederatedData, data: FederatedData) -> Beginning:
    """The same, with the places in the cache of the images that are left out; `data` are those without a backdoor."""
    stay = without(planted, begun.erased)
    begun = replace(begun, retained={client: client_fingerprint(stay, client) for client in stay.clients})
    rows = set[int]()
    for one in begun.left_out:
        if (positions := begun.positions.get(one.client)) is None:
            rows |= set(data.rows_of(one.client).tolist())
            continue
        left, others = set[str](), set[str]()
        for split in SPLITS:
            held = data.clients[one.client].split(split)
            mask = np.zeros(len(held), np.bool_)
            mask[list(positions.get(split, ()))] = True
            rows |= set(held.indices[mask].tolist())
            if held.groups is not None:
                left, others = left | set(held.groups[mask].tolist()), others | set(held.groups[~mask].tolist())
        if left - others:  # their images that were thinned out, too
            rows |= set(data.rows_of(one.client, sorted(left - others)).tolist())
    array = array_of(next(iter(data.clients.values())).train.images)
    return begun if array is None or not rows else replace(begun, array=array, rows=tuple(sorted(rows)))


def held_beginning(out: Path, after: Path | None, take_back: Sequence[ClientId]) -> Beginning | None:
    """Where the run in a folder began; None where there is none, or it is asked for otherwise and will be refused."""
    if not (out / "run.toml").is_file():
        return None
    held = Beginning.of(read_run_document(out)["run"])
    for flag, asked, was in (
        ("--after", relative_to(out, after), held.after),
        ("--take-back", tuple(dict.fromkeys(take_back)) or None, held.take_back),
    ):
        if asked is not None and asked != was:
            raise HistoryError(
                f"{out}: holds another run: it began with {flag} {was or 'unset'}; choose another folder for --out"
            )
    return held


def relative_to(out: Path, after: Path | None) -> str | None:
    """An erasure's folder, relative to a run's."""
    return None if after is None else os.path.relpath(after.resolve(), out.resolve())


def refuse_taking_back(names: Sequence[ClientId]) -> None:
    """Refuse to take somebody back into a training that begins from no erasure."""
    if names:
        raise HistoryError(f"--take-back {names[0]}: a fresh model left nobody out; give it with --after")


def demand_erased(names: Iterable[ClientId], known: Iterable[ClientId]) -> None:
    """Refuse to take somebody back who was not erased."""
    there = sorted(set(known))
    for name in names:
        if name not in there:
            were = f"those erased are {', '.join(there)}" if there else "nobody was"
            raise HistoryError(f"--take-back {name}: was not erased in what this run begins from; {were}")


def _compared(data: FederatedData, erased: ErasedBefore, after: str, take_back: tuple[ClientId, ...]) -> Beginning:
    known = {*erased.clients, *erased.patients}
    erased.taken_back(take_back)
    usable, problems = _usable(erased, data.image_shape)
    left, positions, same = list[LeftOut](), dict[ClientId, dict[Split, tuple[int, ...]]](), set[ClientId]()
    for client, held in data.clients.items():
        found = _reason(client, held, erased, usable)
        if found is None:
            continue
        because, chosen, by_image = found
        if by_image:
            same.add(client)
            if client in take_back:
                continue
        if chosen is None:
            left.append(LeftOut(client=client, because=because))
        else:
            count = sum(int(mask.sum()) for mask in chosen.values())
            left.append(LeftOut(client=client, because=because, images=count))
            positions[client] = {split: tuple(np.flatnonzero(mask).tolist()) for split, mask in chosen.items()}
    demand_erased(take_back, known | same)
    for name in take_back:
        if name not in data.clients:
            raise HistoryError(f"--take-back {name}: is not in the data; there is {', '.join(data.clients)}")
    begun = Beginning(
        after=after, take_back=take_back, left_out=tuple(left), not_checked=tuple(problems), positions=positions
    )
    if not without(data, begun.erased).clients:
        raise HistoryError(f"{after}: all clients in the data were erased before; name those who return: --take-back")
    return begun


def _usable(erased: ErasedBefore, shape: tuple[int, ...]) -> tuple[list[Prints], list[str]]:
    """The fingerprints that images of this shape can be held against, and why others cannot be."""
    usable, problems = [], list(erased.not_checked)
    covered: set[ClientId] = set()
    for one in erased.prints:
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
    client: ClientId, held: ClientData, erased: ErasedBefore, usable: Sequence[Prints]
) -> tuple[str, ChosenRows | None, bool] | None:
    """Why a client is left out, which of its examples (None for all), and whether only its images tell; or None."""
    if (because := erased.clients.get(client)) is not None:
        return f"{because}; it comes back by --take-back {client}", None, False
    gone: dict[Split, npt.NDArray[np.bool_]] = {s: np.zeros(len(held.split(s)), np.bool_) for s in SPLITS}
    reasons = [f"of patients {where}" for _, _, where in _mark_patients(client, held, erased, gone)]
    by_name = bool(reasons)
    for owner, where, count in _mark_images(held, erased, usable, gone):
        total = sum(len(mask) for mask in gone.values())
        if count >= SHARE * total and owner in erased.clients:
            because = f"{count} of its {total} images are those of {owner}, erased by {where}"
            return f"{because}; it comes back by --take-back {client}", None, True
        reasons.append(f"the same as images of {owner}, erased by {where}")
    if not reasons:
        return None
    if int((~gone["train"]).sum()) < TRAINABLE:
        return f"too few of its images are left without those {reasons[0]}", None, not by_name
    return "; ".join(dict.fromkeys(reasons)), gone, not by_name


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


def _mark_images(
    held: ClientData, erased: ErasedBefore, usable: Sequence[Prints], gone: ChosenRows
) -> Iterator[tuple[ClientId, str, int]]:
    """Mark the images whose fingerprints were kept: whose they were, by which erasure, and how many.

    Of a patient that has one image of an erased patient the others are marked, too: it is the same one.
    """
    made: dict[str, dict[Split, npt.NDArray[np.str_]]] = {}
    for one in usable:
        assert one.key is not None
        if one.key.id not in made:
            made[one.key.id] = {s: np.array(prints(one.key.secret, held.split(s)), dtype=np.str_) for s in SPLITS}
        mine = made[one.key.id]
        for owners, known, whole in (
            (one.clients, erased.clients, True),
            (one.patients, erased.patients, False),
        ):
            for owner in sorted({*owners} & {*known}):
                hits = {split: np.isin(mine[split], list(owners[owner])) & ~gone[split] for split in SPLITS}
                if not whole:
                    hits = _same_patients(held, hits)
                count = sum(int(mask.sum()) for mask in hits.values())
                for split, mask in gone.items():
                    mask |= hits[split]
                if count:
                    yield owner, one.where, count


def _same_patients(held: ClientData, hits: Mapping[Split, npt.NDArray[np.bool_]]) -> dict[Split, npt.NDArray[np.bool_]]:
    groups = {split: held.split(split).groups for split in SPLITS}
    names = {name for split, held_by in groups.items() if held_by is not None for name in held_by[hits[split]].tolist()}
    wider = {}
    for split, mask in hits.items():
        own = groups[split]
        wider[split] = mask if own is None else mask | np.isin(own, sorted(names))
    return wider
