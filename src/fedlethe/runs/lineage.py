# SPDX-License-Identifier: MIT
"""Whose images may have left something in a model: decided by what it was made from, never by when.

A model that was retrained without a client holds nothing of it, however late the client asked to be erased; one that
came from a model that held the client, by anything but a retraining, may hold a trace.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fedlethe.config.learning import CLOSED_FORM
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.succession import Part
from fedlethe.privacy.hiding import SPANNED, Hidden
from fedlethe.runs.past import chain_of, erased_in, made_in
from fedlethe.types import ClientId

RETRAINS = ("retrain", "rollback")
"""Fedlethe's methods that train without the erased clients from a model that holds nothing of them."""

BACK_TO = "back_to_round"
"""The figure of a method that goes back to a round: which one, 0 for the initial model."""


def made_anew(method: str, found: Mapping[str, float], hidden: Hidden | None, first: int | None) -> bool:
    """Whether an erasure's model was made from what holds nothing of the erased, by what is on record of how.

    What the method says of itself is no part of that.

    Args:
        method: How, by its name in METHODS.
        found: Figures that it found on the way.
        hidden: What its noise hides.
        first: See `first_round`, of the erased.
    """
    if hidden is not None and hidden.by in SPANNED:
        return False  # the noise is made of models that held the erased clients
    back_to = found.get(BACK_TO)
    went_back = method == "sifu" and back_to is not None and first is not None and back_to < first
    return method == CLOSED_FORM or method in RETRAINS or went_back


def first_round(parts: Sequence[Part], clients: Collection[ClientId]) -> int | None:
    """The first round, counted over all parts, that one of the clients' updates entered; None where none did."""
    before = 0
    for part in parts:
        for round in range(1, part.history.rounds + 1):
            if set(clients) & set(part.history.weights(round)):
                return before + round
        before += part.history.rounds
    return None


def held_by(parts: Sequence[Part]) -> frozenset[ClientId]:
    """The clients that the model may hold something of that these trainings and erasures led to, one after the other.

    Formal guarantees:
        A client that entered a round of one of the parts, or trained in an erasure between them, is among them, unless
        it was erased later, or before a later erasure, by what made the model anew without it (see `made_anew`), and
        did not come back since.
    """
    inside: set[ClientId] = set()
    erased: set[ClientId] = set()
    for number, part in enumerate(parts, start=1):
        entered = {client for round in range(1, part.history.rounds + 1) for client in part.history.weights(round)}
        inside |= entered
        erased -= entered
        assert isinstance(part.history, RunFolder)
        for _, made in chain_of(part.history, part.erasure):
            back = set(made.joined)
            erased = (erased | made.whole) - back
            # An app of your own can record any model under any name, and claims nothing of it.
            claimed = made.guarantee is not None
            if claimed and made_anew(made.method, made.found, made.hidden, first_round(parts[:number], erased)):
                inside -= erased
            # Who trained in the erasure, to unlearn or to repair, put something in: also a client of no round.
            inside |= back | (set(made.cost.clients) - erased)
    return frozenset(inside)


def put_in(parts: Sequence[Part], clients: frozenset[ClientId]) -> bool:
    """Whether one of these clients entered a round of these trainings, or trained in an erasure between them.

    What a client put into a model is found by what was made before and after: so it counts when it was erased since,
    too.
    """
    rounds = ((part.history, round) for part in parts for round in range(1, part.history.rounds + 1))
    if any(clients & set(history.weights(round)) for history, round in rounds):
        return True
    return any(clients & part.repaired() for part in parts)


def models_holding(folder: RunFolder, before: Sequence[Part], clients: frozenset[ClientId]) -> frozenset[str]:
    """The ids of the erasures of a run whose models may hold something of these clients.

    Args:
        folder: The run.
        before: The trainings and erasures that it began from.
        clients: Who is looked for.
    """
    ids = folder.ledger.erasures().values()
    return frozenset(id for id in ids if clients & held_by([*before, up_to(folder, id)]))


def models_without(folder: RunFolder, before: Sequence[Part], clients: frozenset[ClientId]) -> list[str]:
    """The ids of the erasures of a run whose models are there, and were made without these clients."""
    holding = models_holding(folder, before, clients)
    there = [id for id in folder.ledger.erasures().values() if folder.store.holds(of_erasure(id, Kind.MODEL))]
    # What an app of your own recorded without a record claims nothing.
    said = [id for id in there if folder.store.holds(of_erasure(id, Kind.RECORD))]
    return [id for id in said if id not in holding and clients <= set(made_in(folder, id).forget)]


def up_to(folder: RunFolder, erasure: str | None) -> Part:
    """A run's training and the erasures up to one, without the vectors that a next erasure would need."""
    chain = chain_of(folder, erasure)
    trained = frozenset().union(*(made.cost.clients for _, made in chain))
    return Part(history=folder, keep=folder.keep, erased=erased_in(chain), trained=trained, erasure=erasure)
