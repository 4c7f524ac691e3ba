# SPDX-License-Identifier: MIT
"""Where a training begins: from a fresh model, or from an erasure's, without whom was erased before it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from fedlethe.config import RunConfig
from fedlethe.data.erased import ErasedImages, array_of, client_fingerprint, without
from fedlethe.data.federated import SPLITS, FederatedData
from fedlethe.errors import HistoryError
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.erased_before import ErasedBefore
from fedlethe.runs.left_out import compared
from fedlethe.runs.past import begun_parts
from fedlethe.runs.preparing import divided, load_data
from fedlethe.runs.run_toml import read_run_document
from fedlethe.types import ClientId


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
        # Divided before anybody is left out: the others' share must not depend on who was erased.
        data = load_data(config, (gone,))
        begun = compared(data, erased, relative, tuple(dict.fromkeys(take_back)))
        return _located(begun, data, divided(config)) if begun.left_out else begun


def _located(begun: Beginning, planted: FederatedData, data: FederatedData) -> Beginning:
    """The same, with the places in the cache of the images that are left out; `data` are those without a backdoor."""
    stay = without(planted, begun.erased)
    begun = replace(begun, retained={client: client_fingerprint(stay, client) for client in stay.clients})
    rows = set[int]()
    for one in begun.left_out:
        if (positions := begun.positions.get(one.client)) is None:
            rows |= set(data.rows_of(one.client).tolist())  # the whole client
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
    for name, asked, was in (
        ("after", relative_to(out, after), held.after),
        ("take_back", tuple(dict.fromkeys(take_back)) or None, held.take_back),
    ):
        if asked is not None and asked != was:
            raise HistoryError(
                f"{out}: holds another run: it began with {name} {was or 'unset'}; choose another folder"
            )
    return held


def relative_to(out: Path, after: Path | None) -> str | None:
    """An erasure's folder, relative to a run's."""
    return None if after is None else os.path.relpath(after.resolve(), out.resolve())


def refuse_taking_back(names: Sequence[ClientId]) -> None:
    """Refuse to take somebody back into a training that begins from no erasure."""
    if names:
        raise HistoryError(f"take_back {names[0]}: a fresh model left nobody out; name the erasure to begin after")
