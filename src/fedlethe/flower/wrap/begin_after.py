# SPDX-License-Identifier: MIT
"""A training of your own app that begins from what an erasure led to: its model, and who is left out of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from fedlethe.errors import HistoryError
from fedlethe.flower.nodes.grid import RetainedGrid, settle
from fedlethe.flower.nodes.recorded_folder import Recorded, known_identities
from fedlethe.flower.nodes.returning import Returning, lines, recorded_parts
from fedlethe.flower.nodes.roster import Roster
from fedlethe.flower.wrap.model_arrays import ModelArrays
from fedlethe.flower.wrap.strategy_state import unpack
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import BEGAN
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.runs.where_to_begin import relative_to
from fedlethe.types import ClientId

LOG = logging.getLogger("flwr")


def arrays_after(after: Path, named: ModelArrays) -> ArrayRecord:
    """The model that an erasure led to, as the app sends models.

    Raises:
        HistoryError: The folder is not that of an erasure that `Erasing` entered, or its model is another.
    """
    if after.parent.name != "erasures":
        raise HistoryError(f"{after}: is not an erasure's folder; name one such as /srv/run/erasures/0001")
    with Recorded.of(after.parent.parent).opened() as history:
        model = history.erased_model(after.name)
        beside = history.store.find(of_erasure(after.name, Kind.BESIDE))
        held, plain = unpack(history.store.content(beside), history.path / beside.path)
        if difference := history.layout.difference(named.layout.shapes):
            raise HistoryError(f"{after}: holds another model: {difference}")
        return named.arrays(model, {name: held[f"whole:{name}"] for name in plain["whole"]})


def left_out(history: RunFolder) -> frozenset[ClientId]:
    """Who was left out of a recorded training, since they were erased in what it began from."""
    events = history.ledger.events(BEGAN)
    return frozenset(one["client"] for event in events for one in event.body["left_out"])


def begun_grid(history: RunFolder, after: Path | None, take_back: Sequence[ClientId], grid: Grid) -> RetainedGrid:
    """The nodes without those who were erased before; who they are is entered in the ledger, once.

    Args:
        history: Where the rounds go, locked.
        after: The erasure that the training begins from; None for a fresh model, or for what the ledger says.
        take_back: Who was erased and takes part again.
        grid: Flower's, or one on which others are forgotten already.

    Raises:
        HistoryError: The record began elsewhere, or a client to take back was not erased.
    """
    began = history.ledger.events(BEGAN)
    relative = relative_to(history.path, after)
    if began or history.rounds:
        was = began[0].body if began else {"after": None, "take_back": []}
        if after is not None and (relative, list(take_back)) != (was["after"], was["take_back"]):
            raise HistoryError(
                f"{history.path}: holds another recording: it began after {was['after']}; choose another"
            )
        relative, take_back = was["after"], was["take_back"]
    if relative is None:
        return grid if isinstance(grid, RetainedGrid) else RetainedGrid(grid, ())
    with ExitStack() as stack:
        returning = Returning.after(recorded_parts(history.path, relative, stack), take_back, images=False)
    known = {**returning.known, **known_identities(history.path)}
    inner, forget = (grid.grid, grid.forget) if isinstance(grid, RetainedGrid) else (grid, frozenset[ClientId]())
    retained = RetainedGrid(inner, {*forget, *returning.erased.clients}, Roster(inner, strict=False, known=known))
    settle(retained.roster)
    returning.look(retained)
    begun = returning.beginning(relative)
    for line in lines(begun):
        LOG.warning("fedlethe: %s", line)
    # Once, before the first round: a later call goes by the ledger, whatever it is told.
    if not began:
        history.ledger.append([(BEGAN, begun.entry())])
    return retained
