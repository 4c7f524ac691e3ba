# SPDX-License-Identifier: MIT
"""The images that a run must not have any more, and taking them out of data that have changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from fedlethe.data.erased import ErasedImages, client_fingerprint, without
from fedlethe.data.federated import FederatedData
from fedlethe.history.disk import RunFolder
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.records import from_json
from fedlethe.runs.run_toml import read_run_document

MOST_TRIED = 4
"""Erasures of patients of which each is tried by itself to have left the data; of more, all at once."""


def erased_images(history: RunFolder) -> tuple[ErasedImages, ...]:
    """The images that the run must not have: those erased in what it began from, and what its purges took since."""
    document = read_run_document(history.path) if (history.path / "run.toml").is_file() else {"run": {}}
    return (*Beginning.of(document["run"]).erased, *purged_images(history))


def purged_images(history: RunFolder) -> tuple[ErasedImages, ...]:
    """The images that the run's purges took from it, in their order."""
    names = [event.body["images"] for event in history.ledger.events("purge") if event.body["images"] is not None]
    held = history.store
    return tuple(from_json(held.content(held.find(name)), ErasedImages) for name in names)


def applicable(images: FederatedData, erased: Sequence[ErasedImages]) -> Sequence[ErasedImages]:
    """The erased images as they are to be taken out of the data as they are now.

    Of patients it is known at which places their images were. Where their files left the data, those places are
    others' now; the fingerprints of what stayed tell of which erasures that is so.
    """
    placed = [number for number, one in enumerate(erased) if one.positions]
    if not placed or _leaves_the_retained(images, erased, erased):
        return erased
    choices = (
        [placed]
        if len(placed) > MOST_TRIED
        else [chosen for count in range(1, len(placed) + 1) for chosen in combinations(placed, count)]
    )
    for gone in choices:
        left = [replace(one, positions={}) if number in gone else one for number, one in enumerate(erased)]
        if _leaves_the_retained(images, left, erased):
            return left
    # Nothing fits. The places stand, since a purge may have kept no fingerprints; but in data with fewer examples they
    # cannot be looked up: those are other data, which whoever opens the run refuses.
    return erased if _in_reach(images, erased) else [replace(one, positions={}) for one in erased]


def _leaves_the_retained(images: FederatedData, left: Sequence[ErasedImages], erased: Sequence[ErasedImages]) -> bool:
    """Whether the images without those in `left` are what the last purge left."""
    return _in_reach(images, left) and all_retained(without(images, left), erased)


def _in_reach(images: FederatedData, erased: Sequence[ErasedImages]) -> bool:
    """Whether there are examples at all places of the erased images; not where files have left the data."""
    try:
        without(images, erased)
    except IndexError:
        return False
    return True


def all_retained(images: FederatedData, erased: Sequence[ErasedImages]) -> bool:
    """Whether what is there is what the last purge left, though the erased images are not in the source any more."""
    if not erased or not erased[-1].retained or set(images.clients) != set(erased[-1].retained):
        return False
    return all(client_fingerprint(images, client) == known for client, known in erased[-1].retained.items())
