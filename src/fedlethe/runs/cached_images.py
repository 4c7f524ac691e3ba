# SPDX-License-Identifier: MIT
"""What the cache of decoded images holds, of whom, and taking it out: for a hospital, beyond any run's purge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedlethe.config import RunConfig
from fedlethe.data.cache import UNKNOWN, cache_folder, clear_leftovers, origins
from fedlethe.data.division import divide
from fedlethe.data.holdings import Holding, beyond_reach, clear, holdings
from fedlethe.data.reading import Reading
from fedlethe.errors import DataError
from fedlethe.runs.remote import REMOTE
from fedlethe.runs.run_toml import config_of, read_run_document
from fedlethe.types import ClientId


@dataclass(frozen=True, slots=True)
class Cached:
    """One array, or list of names, in the cache.

    Attributes:
        held: What it is.
        clients: Client to how many images of its (and of the patients asked for) are in it, where that was asked for.
    """

    held: Holding
    clients: Mapping[ClientId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheContent:
    """What the cache holds.

    Attributes:
        folder: The cache.
        entries: The arrays and lists of names in it.
    """

    folder: Path
    entries: tuple[Cached, ...]


@dataclass(frozen=True, slots=True)
class CacheCleared:
    """What was taken out of the cache.

    Attributes:
        folder: The cache.
        removed: Files that held, or could have held, one of the images; and all lists of names.
        images: How many images were looked for; None for all that there are.
        not_reached: What may hold them still, one sentence each.
    """

    folder: Path
    removed: tuple[Path, ...]
    images: int | None
    not_reached: tuple[str, ...]


def config_of_run(path: Path) -> RunConfig:
    """The configuration of a run whose images are on this machine.

    Raises:
        DataError: They are on Flower nodes.
    """
    if REMOTE in read_run_document(path)["run"]:
        raise DataError(
            f"{path}: its images are on the clients' machines; ask there, and name the data in the place of the run"
        )
    return config_of(path)


def cache_content(config: RunConfig | None, clients: Sequence[ClientId], patients: Sequence[str]) -> CacheContent:
    """What the cache holds, and how much of it is whose, where a configuration says whose images are whose.

    Args:
        config: Names the data and their division; None to count nothing.
        clients: Count theirs only; empty for all clients.
        patients: Count these patients' only; empty for all.

    Raises:
        FedletheError: A client or patient is not in the data, or the data cannot be read.
    """
    owned = {} if config is None else _owned(config, clients, patients)
    found = []
    for held in holdings():
        counts = {client: sum(row in images for row in held.rows or ()) for client, images in owned.items()}
        found.append(Cached(held, {client: count for client, count in counts.items() if count}))
    return CacheContent(cache_folder(), tuple(found))


def clear_cache(config: RunConfig | None, clients: Sequence[ClientId], patients: Sequence[str]) -> CacheCleared:
    """Take the images of clients or patients, features that were made of them, and all lists of names out of the cache.

    Args:
        config: Names the data and their division; None to take out everything.
        clients: Whose images go; with patients: whose patients these are, empty for all.
        patients: These patients' only.

    Raises:
        FedletheError: A client or patient is not in the data, the data cannot be read, or a file cannot be removed.
    """
    images = None
    if config is not None:
        images = frozenset().union(*_owned(config, clients, patients).values())
    told = beyond_reach(images)
    clear_leftovers(own=True)
    return CacheCleared(cache_folder(), clear(images), None if images is None else len(images), told)


def _owned(config: RunConfig, clients: Sequence[ClientId], patients: Sequence[str]) -> dict[ClientId, frozenset[str]]:
    """Client to what stands for its images (of these patients) in the cache's index; nothing is decoded."""
    read = config.source.load(Reading(only_named=True))
    named = origins(read.images, np.arange(len(read.images)))
    if UNKNOWN in named:
        raise DataError(f"data source '{config.source_name}' keeps nothing in the cache")
    data = divide(read, config.partition, config.division_seed)
    everybody = [] if data.owners is None else sorted(set(data.owners.tolist()) - {""})
    found: dict[ClientId, frozenset[str]] = {}
    for client in clients or everybody:
        there = patients if clients else [one for one in patients if one in data.patients_of(client)]
        if patients and not there:
            continue
        found[client] = frozenset(named[row] for row in data.rows_of(client, there or None).tolist())
    if patients and not found:
        raise DataError(f"patient '{patients[0]}' has no image at {', '.join(everybody)}; nothing was done")
    return found
