# SPDX-License-Identifier: MIT
"""The influences that stay after a purge: each retained client's, rebased on the erasure's model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import Artefact
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.succession import Part, Succession, gone_after
from fedlethe.later import torch
from fedlethe.requests.purge_record import Departure
from fedlethe.runs.lineage import put_in
from fedlethe.runs.past import made_in
from fedlethe.types import ClientId, Need, Vector


def rebased_influences(
    history: RunFolder, parts: Sequence[Part], request: Departure, base: str, whose: Collection[ClientId]
) -> list[Artefact]:
    """Write each retained client's influence, rebased; the caller enters the files in the ledger.

    Args:
        history: The run's.
        parts: All trainings that led to the erasure's model.
        request: The purge's; it names the files.
        base: The erasure whose model stays.
        whose: Of whom: see `told.whose_stay`.
    """
    if not whose:
        return []
    return [
        history.store.save("influence", f"influence/{client}/{request.id}", client, vector, history.layout)
        for client, vector in rebased(history, parts, base, request.clients, request.patients)
        if client in whose
    ]


def whose_are_rebased(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> tuple[ClientId, ...]:
    """Whose influences are kept and fit the erasure's model; nobody's where none are. See `rebased_influences`."""
    # What came before a training anew is in none of the influences since.
    first = max((index for index, part in enumerate(parts) if part.anew), default=0)
    kept = all(has_influence(part.keep) for part in parts[first:])
    if not kept or _of_another_training(history, parts, request, base):
        return ()
    return _who_carry(Succession(parts, history.erased_model(base)))


def _who_carry(past: Succession) -> tuple[ClientId, ...]:
    """Who took part in something; all clients where none did.

    Of the others the influence is known to be zero, and a file would count them among those who took part.
    """
    return tuple(client for client in past.clients if client in past.contributors()) or past.clients


def _of_another_training(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> bool:
    """Whether the influences that are kept are of a training with the erased, and something is certain of the model.

    They would bring back what the others' updates took up from the erased, into a model that never held it.
    """
    if parts[-1].anew or not put_in(parts, frozenset(request.clients)):
        return False
    if not history.store.holds(of_erasure(base, Kind.RECORD)):  # of an app of one's own: nothing is claimed of it
        return False
    return made_in(history, base).guarantee is not None


def rebased(
    history: RunFolder,
    parts: Sequence[Part],
    base: str,
    gone: Sequence[ClientId],
    patients: Mapping[ClientId, object],
) -> Iterator[tuple[ClientId, Vector]]:
    """Each retained client's influence on the erasure's model, shape (P,).

    I'_k = I_k + s_k (w' - w_0 - sum of the I_j), where w' is the erasure's model, and I_j what the retained client j
    put into it by the rounds and the repairs. s_k = n_k / sum of the n_j, and n_k is the squared norm of what k put in
    since the erased one came (see `_Since`). By its weight alone a client whose images are all of one class, say, who
    put in next to nothing, would carry what is left of the erased nearly bare.

    Formal guarantees:
        w_0 + sum of the I'_k = w', to rounding. With r = w' - w_0 - sum of the I_j, which holds what is left of the
        erased client, every kept vector is I'_k = I_k + s_k r: one equation more than there are kept vectors would be
        needed to solve for r. And where the clients' updates are independent of each other, each of variance n_k, the
        best linear estimate of r from all I'_k weighs each by s_k / n_k, which is the same for all: it is the one from
        their sum, and so from the model alone. Nothing else that is kept may tell an I_k: that is why the deltas, the
        first round's too, and the norms go (a client that took part in round one alone has p_k delta_k,1 for its
        influence).

    Args:
        history: The run's.
        parts: All trainings that led to the erasure's model.
        base: The erasure whose model stays.
        gone: Who is erased.
        patients: Clients that came back without some patients: what they did before the erasure does not count.
    """
    left = Left.of(history, parts, base, gone, patients)
    for client, share in shares_of_rest(left.covers, _who_carry(left.past)).items():
        yield client, (left.influence(client) + share * left.rest).float()


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """What is left of the erased in an erasure's model, and what the others put in.

    Attributes:
        history: The run's.
        past: All trainings.
        base: The erasure.
        patients: See `rebased`.
        rest: r, shape (P,), float64.
        covers: n_k of each client.
    """

    history: RunFolder
    past: Succession
    base: str
    patients: Mapping[ClientId, object]
    rest: torch.Tensor
    covers: Mapping[ClientId, float]

    @classmethod
    def of(
        cls,
        history: RunFolder,
        parts: Sequence[Part],
        base: str,
        gone: Sequence[ClientId],
        patients: Mapping[ClientId, object],
    ) -> Left:
        """See `rebased`."""
        final = history.erased_model(base)
        past = Succession(parts, final)
        # In double precision: the sum over all clients and rounds would lose the rest to rounding in single.
        rest, since = final.double() - past.initial().double(), _Since.of(past, frozenset(gone))
        covers: dict[ClientId, float] = {}
        for client in past.clients:
            vector = _influence(history, past, base, patients, client)
            rest -= vector
            covers[client] = since.covered_by(client, patients)
        return cls(history, past, base, patients, rest, covers)

    def influence(self, client: ClientId) -> torch.Tensor:
        """I_k, shape (P,), float64: what a client put in by the rounds and the repairs."""
        return _influence(self.history, self.past, self.base, self.patients, client)


def shares_of_rest(covers: Mapping[ClientId, float], who: Sequence[ClientId]) -> dict[ClientId, float]:
    """s_k = n_k / sum of the n_j.

    Args:
        covers: n_k, what each client's own updates put in since the erased one came, squared and summed.
        who: Carry it in equal shares where nobody put in anything.
    """
    squares = covers if any(covers.values()) else dict.fromkeys(who, 1.0)
    total = sum(squares.values())
    return {client: square / total for client, square in squares.items()}


def _influence(
    history: RunFolder, past: Succession, base: str, patients: Mapping[ClientId, object], client: ClientId
) -> torch.Tensor:
    if client in patients and not history.anew(base):
        return history.repair(base).get(client, torch.zeros(past.layout.size)).double()
    known = Need.INFLUENCE in past.keep or any(part.anew for part in past.parts)
    return (past.influence(client) if known else _summed(past, client)).double()


def _summed(past: Succession, client: ClientId) -> Vector:
    """A client's influence from its deltas."""
    total = torch.zeros(past.layout.size)
    for part in past.parts:
        total += _summed_in(part, client)
    return total


def _summed_in(part: Part, client: ClientId) -> Vector:
    total = torch.zeros(part.history.layout.size)
    for round in _rounds(part):
        if (weight := part.history.weights(round).get(client)) is not None:
            total.add_(part.history.delta(round, client), alpha=weight)
    return total


@dataclass(frozen=True, slots=True)
class _Since:
    """The rounds and repairs since the erased came: what was put in before can be known, and covers nothing.

    Attributes:
        past: All trainings.
        part: The one in which the erased first trained.
        round: The first round that is not before that, counted over all parts.
    """

    past: Succession
    part: int
    round: int

    @classmethod
    def of(cls, past: Succession, gone: frozenset[ClientId]) -> _Since:
        """Look for the first round, or else the first repair, in which one of the erased trained.

        Where nobody who stays trained from then on, it is the last one before in which somebody did: the models of
        rounds since that one go with the purge (see `alone`).
        """
        steps, staying = list(_steps(past)), frozenset(past.clients) - gone
        first = next((place for place, (*_, trained) in enumerate(steps) if gone & trained), 0)
        if not any(trained & staying for *_, trained in steps[first:]):
            first = next((place for place in reversed(range(first)) if steps[place][2] & staying), first)
        part, round, _ = steps[first] if steps else (0, 1, frozenset())
        return cls(past, part, round)

    def covered_by(self, client: ClientId, patients: Collection[ClientId]) -> float:
        """n_k: the squared norm of what a client put in since, training by training.

        Of what it put in by the rounds of the training in which the erased came, which is known in sum alone, those
        since have the part that updates of equal size give them, by their squared weights.

        Args:
            client: Who stays.
            patients: Clients that came back without some patients: they count by their repairs alone.
        """
        parts, number, total = self.past.parts, 0, 0.0
        # What a training anew led to holds nothing of the rounds before it.
        first = max((index for index, part in enumerate(parts) if part.anew), default=0)
        for index, (part, gone) in enumerate(zip(parts, gone_after(parts), strict=True)):
            squares = [part.history.weights(round).get(client, 0.0) ** 2 for round in _rounds(part)]
            later = sum(square for own, square in enumerate(squares, start=number + 1) if own >= self.round)
            number += len(squares)
            if index < max(self.part, first) or client in gone:
                continue
            if client in part.repair:
                total += float(part.repair[client].double().square().sum())
            if later and not part.anew and client not in patients:
                total += float(by_rounds(part, client).double().square().sum()) * later / sum(squares)
        return total


def _rounds(part: Part) -> range:
    return range(1, part.history.rounds + 1)


def by_rounds(part: Part, client: ClientId) -> Vector:
    """What a client put in by the rounds of a training."""
    return part.history.influence(client) if Need.INFLUENCE in part.keep else _summed_in(part, client)


def _steps(past: Succession) -> Iterator[tuple[int, int, frozenset[ClientId]]]:
    """Each round, and each training of an erasure: its part, the round that it is or that follows, and who trained."""
    number = 0
    for index, part in enumerate(past.parts):
        for round in _rounds(part):
            number += 1
            yield index, number, frozenset(part.history.weights(round))
        yield index, number + 1, part.repaired()
