# SPDX-License-Identifier: MIT
"""The fingerprints of erased images that a run keeps, by which they are known under another name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import SPLITS, ClientData, Split
from fedlethe.data.prints import prints_of
from fedlethe.errors import FedletheError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact
from fedlethe.history.keyring import IMAGES
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.sealing import Key
from fedlethe.history.store import JSON
from fedlethe.runs.run import OpenRun
from fedlethe.types import ClientId


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
    return [run.history.store.write("erasure", of_erasure(id, Kind.FINGERPRINTS), None, [content], ending=JSON)]


def _of_patients(held: ClientData, names: Sequence[str]) -> ClientData:
    def chosen(split: Split) -> npt.NDArray[np.bool_]:
        groups = held.split(split).groups
        return np.zeros(len(held.split(split)), np.bool_) if groups is None else np.isin(groups, list(names))

    return ClientData(*(held.split(split).only(chosen(split)) for split in SPLITS))


def kept_prints(folder: RunFolder, ids: Sequence[str]) -> list[Prints]:
    """The fingerprints that these erasures of a run kept."""
    store, found = folder.store, []
    for id in ids:
        if store.holds(of_erasure(id, Kind.FINGERPRINTS)):
            held = json.loads(store.content(store.find(of_erasure(id, Kind.FINGERPRINTS))))
            sets = [{c: frozenset(one) for c, one in held[name].items()} for name in ("clients", "patients")]
            found.append(Prints(folder, id, key_of(folder), tuple(held["shape"]), *sets))
    return found


def key_of(folder: RunFolder) -> Key | None:
    """The key of a run's fingerprints; None where there is none, or its file is not at hand."""
    try:
        return folder.store.keys.images()
    except FedletheError:
        return None
