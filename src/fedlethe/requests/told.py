# SPDX-License-Identifier: MIT
"""What the vectors that stay tell of the erased: measured, while what they put in is still there to be held against.

The attack is least squares with coefficients that no attacker has: those that come nearest to what the erased put in.
What it leaves, over the whole (see `Told.apart`), is held against two measures in which nothing of an erasure is:
against the released model alone, beside the initial one; and against what the others put in by each training, which is
alike where hospitals are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from fedlethe.errors import HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import LOST
from fedlethe.history.succession import Part, gone_after
from fedlethe.later import torch
from fedlethe.requests.alone import is_certain, staying_models
from fedlethe.requests.condemned import on_hold
from fedlethe.requests.purge_record import Departure
from fedlethe.requests.rebased import Left, by_rounds, shares_of_rest, whose_are_rebased
from fedlethe.runs.lineage import put_in
from fedlethe.types import ClientId, Vector

NO_MORE = 0.75
"""What stays may leave no less than this share of what the model alone leaves, or the others' likeness."""

NEARLY = 0.3
"""Below this the model itself is nearly what the erased put in: a cosine of .95."""

ROUNDING = 1e-3
"""What is left of a vector that is told to rounding."""

LEAST = 100
"""Of a model of fewer numbers a few vectors fit any other: no request fails for that."""

AT_ONCE = 1 << 20
"""Floats of each vector that are looked at together."""


@dataclass(frozen=True, slots=True)
class Told:
    """What stays tells of the erased, in the worst case over what is erased.

    Attributes:
        apart: What the models that stay, and files that wait for a purge of their own, leave of it, over the whole: 1
            is all of it, 0 that they tell it.
        fails: Whether they tell more than may be.
        influences: Whether the rebased influences may stay beside them.
        waiting: Whose files wait.
    """

    apart: float
    fails: bool
    influences: bool
    waiting: tuple[ClientId, ...] = ()


def what_stays_tells(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> Told | None:
    """Measure what stays after the purge of a request.

    Args:
        history: The run's.
        parts: All trainings that led to the erasure's model.
        request: Whose clients are erased.
        base: The erasure.

    Returns:
        None where nobody knows anything of what they put in: it was not kept, or is gone.
    """
    targets = [*_put_in_by_the_erased(history, parts, request, base)]
    if not targets:
        took_part = put_in(_in_the_model(parts), frozenset(request.clients))
        return None if took_part else Told(1.0, False, True)
    initial = parts[0].history.initial().double()
    try:
        left = Left.of(history, parts, base, request.clients, request.patients)
        influences = {client: left.influence(client) for client in left.covers}
        shares = shares_of_rest(left.covers, [client for client, vector in influences.items() if bool(vector.any())])
    except HistoryError:  # then none is rebased
        influences, shares = {}, {}
    held = [(part, _on_hold(part, request if part is parts[-1] else None, request.clients)) for part in parts]
    measure = _Measure.of(
        {
            "initial": [initial],
            "step": [history.erased_model(base).double() - initial],
            "between": [folder.erased_model(id) - initial for folder, id, _ in staying_models(parts, request)],
            "waiting": [vector for part, clients in held for client in clients for vector in _by(part, client)],
            "others": [*_put_in_by_the_others(parts, request)],
            "influences": [*influences.values()],
            "targets": targets,
        }
    )
    stays = measure.columns("initial", "step", "between", "waiting")
    kept = [*stays, *_rebased(measure, list(influences), shares)]
    found = []
    for target in measure.places["targets"]:
        alone = measure.apart(measure.columns("initial", "step"), target)
        likeness = measure.apart(measure.columns("initial", "waiting", "others"), target)
        stay, may = measure.apart(stays, target), _more(min(alone, likeness))
        fails = stay < may or stay < min(NEARLY, _more(likeness))
        found.append(Told(stay, fails, bool(influences) and measure.apart(kept, target) >= may))
    return Told(
        apart=min(one.apart for one in found),
        fails=history.layout.size >= LEAST and any(one.fails for one in found),
        influences=all(one.influences for one in found),
        waiting=tuple(sorted({client for _, clients in held for client in clients})),
    )


def _rebased(measure: _Measure, clients: Sequence[ClientId], shares: Mapping[ClientId, float]) -> list[torch.Tensor]:
    """I'_k = I_k + s_k (w' - w_0 - sum of the I_j) of each client k that has a share s_k, by what it is made of."""
    own, (step,) = measure.columns("influences"), measure.columns("step")
    rest = step - sum(own)
    return [column + shares[client] * rest for client, column in zip(clients, own, strict=True) if client in shares]


def whose_stay(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> tuple[ClientId, ...]:
    """Whose influences stay, rebased: nobody's where they would tell of the erased, or nobody knows whether they would.

    See `whose_are_rebased`; where something is certain of the erasure's model, nothing of the erased is in them.
    """
    whose = whose_are_rebased(history, parts, request, base)
    if not whose or is_certain(history, base):
        return whose
    measured = what_stays_tells(history, parts, request, base)
    return whose if measured is not None and measured.influences else ()


def _more(measure: float) -> float:
    """What is less than this tells more than a measure does; 0 where that tells all there is to tell."""
    return NO_MORE * measure if measure > ROUNDING else 0.0


def _put_in_by_the_erased(
    history: RunFolder, parts: Sequence[Part], request: Departure, base: str
) -> Iterator[torch.Tensor]:
    """What each put in by the rounds of each training, by the repairs after it, in all, and all of them together.

    As far as it is known.
    """
    together: list[torch.Tensor] = []
    for client in request.clients:
        own = [vector.double() for part in _in_the_model(parts) for vector in _by(part, client)]
        if client in request.patients and own and (since := history.repair(base).get(client)) is not None:
            own[-1] = own[-1] - since  # what it did in the erasure, without the patients, is not erased
        own = [vector for vector in own if bool(vector.any())]
        yield from own
        if len(own) > 1:
            yield torch.stack(own).sum(dim=0)
        together += own
    if len(request.clients) > 1 and together:
        yield torch.stack(together).sum(dim=0)


def _put_in_by_the_others(parts: Sequence[Part], request: Departure) -> Iterator[Vector]:
    in_model = _in_the_model(parts)
    for part, gone in zip(in_model, gone_after(in_model), strict=True):
        for client in sorted(part.contributors() - gone - set(request.clients)):
            yield from _by(part, client)


def _on_hold(part: Part, request: Departure | None, gone: Sequence[ClientId]) -> list[ClientId]:
    """Clients whose files stay in a run's folder for now; `request` is the folder's own, if any."""
    assert isinstance(part.history, RunFolder)
    return sorted(on_hold(part.history, request) - set(gone))


def _in_the_model(parts: Sequence[Part]) -> Sequence[Part]:
    """Those since the last training anew: what came before is in the model no more."""
    return parts[max((index for index, part in enumerate(parts) if part.anew), default=0) :]


def _by(part: Part, client: ClientId) -> Iterator[Vector]:
    """What a client put in by the rounds of a training, and by the repairs after it, where that is kept."""
    assert isinstance(part.history, RunFolder)
    lost = client in part.history.store.keys.confirmed(LOST)  # as the user said; a key that is missing is an error
    if not part.anew and not lost and client in part.history.contributors():
        with suppress(HistoryError):
            yield by_rounds(part, client)
    if client in part.repair:
        yield part.repair[client]


@dataclass(frozen=True, slots=True, eq=False)
class _Measure:
    """Least squares among v vectors, by their products alone.

    Attributes:
        places: Which vectors are of a group.
        products: Of all pairs, each vector scaled to length 1, shape (v, v).
        lengths: Shape (v,); 1 of a vector of zeros.
    """

    places: Mapping[str, range]
    products: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, groups: Mapping[str, Sequence[Vector]], at_once: int = AT_ONCE) -> _Measure:
        vectors = [vector for group in groups.values() for vector in group]
        ends = [*accumulate(map(len, groups.values()))]
        places = {name: range(end - len(groups[name]), end) for name, end in zip(groups, ends, strict=True)}
        products = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
        for start in range(0, len(vectors[0]), at_once):
            block = torch.stack([vector[start : start + at_once].double() for vector in vectors])
            products += block @ block.T
        lengths = products.diagonal().sqrt()
        lengths = torch.where(lengths > 0, lengths, 1.0)
        return cls(places, products / torch.outer(lengths, lengths), lengths)

    def columns(self, *groups: str) -> list[torch.Tensor]:
        """The vectors of these groups as they are, each by what it is made of, shape (v,)."""
        whole = torch.eye(len(self.lengths), dtype=torch.float64)
        return [whole[place] for group in groups for place in self.places[group]]

    def apart(self, columns: Sequence[torch.Tensor], target: int) -> float:
        """What is left of a vector that columns are fitted to, over its length."""
        made = torch.stack([*columns]) * self.lengths  # of the vectors of length 1
        gram = made @ self.products @ made.T
        scale = gram.diagonal().clamp(min=0).sqrt()
        scale = torch.where(scale > 0, 1 / scale, 0.0)
        gram, side = gram * torch.outer(scale, scale), scale * (made @ self.products[target])
        fit = torch.linalg.pinv(gram, rtol=1e-12, hermitian=True) @ side
        return float((1 - side @ fit).clamp(min=0).sqrt())
