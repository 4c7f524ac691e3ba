# SPDX-License-Identifier: MIT
"""Where only the erased trained: beside a model from before that, the model that stays tells what they put in.

w' - w is then what is left of them and nothing else, the same up to a factor as their influence. Of such models w the
global ones of rounds go with the purge. The initial model, and that which an earlier run left, stay: so the request is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedlethe.config.learning import CLOSED_FORM
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.succession import Part, gone_after
from fedlethe.requests.purge_record import Departure
from fedlethe.runs.lineage import held_by, up_to
from fedlethe.runs.past import chain_of, made_in
from fedlethe.types import ClientId

INITIAL = "the initial model"
"""It always stays."""


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """A moment in a line of trainings: `step` counts a part's rounds, then its erasures; 0 is its beginning."""

    part: int
    step: int


def leaves_something(history: RunFolder, erasure: str) -> bool:
    """Whether the model of an erasure that is on record may hold something of the erased: nothing is certain of it."""
    return history.store.holds(of_erasure(erasure, Kind.RECORD)) and not is_certain(history, erasure)


def is_certain(history: RunFolder, erasure: str) -> bool:
    """Whether something is certain of the model of an erasure; of one without a record nothing is."""
    if not history.store.holds(of_erasure(erasure, Kind.RECORD)):
        return False
    made = made_in(history, erasure)
    return made.guarantee is not None or made.method == CLOSED_FORM


def alone_since(parts: Sequence[Part], request: Departure) -> Place | None:
    """The last moment at which somebody who stays trained, where one of the erased trained after it; else None.

    Args:
        parts: All trainings and erasures that led to the model that stays.
        request: Whose clients are erased.
    """
    last, alone = Place(0, 0), False
    for place, trained, gone in _steps(parts, request):
        if trained - gone:
            last, alone = place, False
        elif trained:
            alone = True
    return last if alone else None


def _steps(parts: Sequence[Part], request: Departure) -> Iterator[tuple[Place, set[ClientId], set[ClientId]]]:
    """Each round and erasure, who trained in it, and who of all clients is erased."""
    for index, (part, erased) in enumerate(zip(parts, gone_after(parts), strict=True)):
        assert isinstance(part.history, RunFolder)
        gone, rounds = {*erased, *request.clients}, part.history.rounds
        for round in range(1, rounds + 1):
            yield Place(index, round), set(part.history.weights(round)), gone
        for number, (id, made) in enumerate(chain_of(part.history, part.erasure), start=rounds + 1):
            # Who lost patients comes back in the erasure of those, with the other images.
            back = set(request.patients) if id == request.erasure and part is parts[-1] else set()
            yield Place(index, number), set(made.cost.clients), gone - back


def model_that_tells(parts: Sequence[Part], request: Departure) -> str | None:
    """The model that stays and beside which that of the request's erasure tells what the erased put in, in words.

    Args:
        parts: All trainings that led to the erasure's model, itself the last.
        request: Whose clients are erased.
    """
    last = parts[-1]
    assert isinstance(last.history, RunFolder)
    if last.erasure is None or not leaves_something(last.history, last.erasure):
        return None
    since = alone_since(parts, request)
    if since is None:
        return None
    if since == Place(0, 0):
        return INITIAL
    for folder, id, place in staying_models(parts, request):
        if place >= since:
            return str(folder.path / f"{of_erasure(id, Kind.MODEL)}.safetensors")
    return None


def staying_models(parts: Sequence[Part], request: Departure) -> Iterator[tuple[RunFolder, str, Place]]:
    """The models of erasures of earlier runs that stay after the purge of a request; of the run itself others go.

    Args:
        parts: All trainings that led to the model that stays.
        request: Whose clients are erased.
    """
    own = frozenset(request.clients)
    for index, part in enumerate(parts[:-1]):
        assert isinstance(part.history, RunFolder)
        chain = chain_of(part.history, part.erasure)
        for number, (id, _) in enumerate(chain, start=part.history.rounds + 1):
            stays = part.history.store.holds(of_erasure(id, Kind.MODEL))
            if stays and not own & held_by([*parts[:index], up_to(part.history, id)]):
                yield part.history, id, Place(index, number)
