# SPDX-License-Identifier: MIT
"""Whose images a purge takes out of the data: all of an erased client's, or those of its erased patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.config import RunConfig
from fedlethe.data.cache import origins
from fedlethe.data.erased import (
    ErasedImages,
    array_of,
    client_fingerprint,
    identities,
    kept_array,
    scrub_handed_over,
    without,
)
from fedlethe.data.federated import SPLITS, FederatedData, Split
from fedlethe.data.holdings import beyond_reach
from fedlethe.erasing.patients import OfClients
from fedlethe.history.disk import RunFolder
from fedlethe.history.request_log import ErasureRequest
from fedlethe.outside.plugins import GIVEN
from fedlethe.runs.images_erased import all_retained, applicable, erased_images
from fedlethe.runs.preparing import divided, load_data
from fedlethe.runs.remote import REMOTE
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import config_of, read_run_document
from fedlethe.types import ClientId

OF_NODES = "the caches of the clients' own machines: run fedlethe cache clear there"
"""What a purge says of images that were never on this machine."""

OF_PROGRAM = (
    "the Python program that handed the data over, or the code that gives them: what it holds in memory, and what it "
    "reads them from (files, a cache of its own). Have it leave them out from now on: what a source decodes again into "
    "this machine's cache goes by: fedlethe cache clear --all"
)
"""The same of data that have no name by which they could be looked for."""


@dataclass(frozen=True, slots=True)
class SourceOfRun:
    """A run's data: its configuration, its images as they are now, and those that purges took before."""

    config: RunConfig
    images: FederatedData
    before: tuple[ErasedImages, ...]

    @classmethod
    def of(cls, folder: RunFolder, run: OpenRun) -> SourceOfRun | None:
        """The data of a run that `run` began from; None where only the program that handed them over has them."""
        config, before = config_of(folder.path), erased_images(folder)
        if given := config.source_name == GIVEN:
            if run.config.source_name != GIVEN:
                return None
            config = replace(config, source=run.config.source)
        images = load_data(config, before)
        left = without(images, applicable(images, before))
        known = read_run_document(folder.path)["run"]["data_fingerprint"]
        if given and images.fingerprint != known and not all_retained(left, before):
            return None  # what was handed over for this run is not what was handed over for that one
        return cls(config, left, before)

    @classmethod
    def of_open(cls, run: OpenRun) -> SourceOfRun:
        """The data of the run itself, which are loaded already."""
        before = erased_images(run.history)
        left = run.images.without({client for one in before for client in one.clients} & set(run.images.clients))
        return cls(run.config, left, before)


def images_taken(
    folder: RunFolder, request: ErasureRequest, patients: OfClients, source: Callable[[RunFolder], SourceOfRun | None]
) -> ErasedImages:
    """The images that the purge of a request takes; none of a run on nodes, whose images were never here.

    Args:
        folder: The run folder.
        request: Whose clients are erased.
        patients: The names of those of clients that are erased in part.
        source: The data of a run folder, None where they are not at hand; it is not asked for a run on nodes.
    """
    if REMOTE in read_run_document(folder.path)["run"]:
        return none_here(request.clients)
    held = source(folder)
    return none_here(request.clients, OF_PROGRAM) if held is None else _images_of(held, request, patients)


def none_here(clients: tuple[ClientId, ...], where: str = OF_NODES) -> ErasedImages:
    """What a purge takes where the images are not to be had here; `where` says where they are."""
    return ErasedImages(array=None, rows=(), clients=clients, not_reached=(where,))


def _images_of(source: SourceOfRun, request: ErasureRequest, patients: OfClients) -> ErasedImages:
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
    handed_over = found.array is None and bool(found.rows)
    if handed_over:  # now, since nothing that stays on record says what stands for them in the cache
        scrub_handed_over(_array(plain), found.rows)
    # Fingerprints of what is left: a later opening of the run knows by them that nobody else's images changed.
    left = without(source.images, [found])
    return replace(
        found,
        retained={client: client_fingerprint(left, client) for client in left.clients},
        not_reached=(
            *beyond_reach(identities(found), _kept([*source.before, found])),
            *([OF_PROGRAM] if handed_over else []),
            *_others_have(plain, found),
        ),
    )


def _others_have(data: FederatedData, found: ErasedImages) -> Iterator[str]:
    """That others who stay have images of the same pixels, under other names: theirs are not taken out."""
    images, array = identities(found), _array(data)
    if not images or data.owners is None:
        return
    rows = np.setdiff1d(np.arange(len(array)), found.rows)
    same = [row for row, identity in zip(rows.tolist(), origins(array, rows), strict=True) if identity in images]
    if owners := sorted({str(owner) for owner in data.owners[same]} - {""}):
        yield f"images of {', '.join(owners)}: {len(same)} have the same pixels as images that were erased, and stay"


def _kept(erased: Sequence[ErasedImages]) -> tuple[Path, ...]:
    kept = kept_array(erased)
    return () if kept is None else (kept,)


def _array(data: FederatedData) -> npt.NDArray[Any]:
    return next(iter(data.clients.values())).train.images
