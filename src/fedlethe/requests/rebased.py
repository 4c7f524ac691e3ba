# SPDX-License-Identifier: MIT
"""The influences that stay after a purge: each retained client's, rebased on the erasure's model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fedlethe.history.disk import RunFolder, has_influence
from fedlethe.history.entries import Artefact
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.succession import Part, Succession
from fedlethe.later import torch
from fedlethe.requests.purge_record import Departure
from fedlethe.runs.lineage import put_in
from fedlethe.runs.past import made_in
from fedlethe.types import ClientId, Need, Vector


def rebased_influences(history: RunFolder, parts: Sequence[Part], request: Departure, base: str) -> list[Artefact]:
    """Write each retained client's influence, rebased; the caller enters the files in the ledger.

    Args:
        history: The run's.
        parts: All trainings that led to the erasure's model.
        request: The purge's; it names the files.
        base: The erasure whose model stays.

    Returns:
        The files; none where influences are not kept, or are of another training than the model.
    """
    whose = whose_are_rebased(history, parts, request, base)
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

    I'_k = I_k + s_k (w' - w_0 - sum of the I_j), where w' is the erasure's model, I_j what the retained client j put
    into it by the rounds and the repairs, and s_k the share of k's squared weights among the retained (see `_shares`).

    Formal guarantees:
        w_0 + sum of the I'_k = w', to rounding. With r = w' - w_0 - sum of the I_j, which holds what is left of the
        erased client, every kept vector is I'_k = I_k + s_k r: one equation more than there are kept vectors would be
        needed to solve for r. And where the clients' updates are independent of each other, with equal variances, the
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
    final, own_training = history.erased_model(base), bool(history.anew(base))
    past = Succession(parts, final)
    zero = torch.zeros(past.layout.size)

    def influence(client: ClientId) -> torch.Tensor:
        if client in patients and not own_training:
            return history.repair(base).get(client, zero).double()
        known = Need.INFLUENCE in past.keep or any(part.anew for part in past.parts)
        return (past.influence(client) if known else _summed(past, client)).double()

    # In double precision: the sum over all clients and rounds would lose the rest to rounding in single.
    rest = final.double() - past.initial().double()
    for client in past.clients:
        rest -= influence(client)
    for client, share in _shares(past, gone, patients).items():
        yield client, (influence(client) + share * rest).float()


def _summed(past: Succession, client: ClientId) -> Vector:
    """A client's influence from its deltas."""
    total = torch.zeros(past.layout.size)
    for part in past.parts:
        for round in range(1, part.history.rounds + 1):
            if (weight := part.history.weights(round).get(client)) is not None:
                total.add_(part.history.delta(round, client), alpha=weight)
    return total


def _shares(past: Succession, gone: Sequence[ClientId], patients: Mapping[ClientId, object]) -> dict[ClientId, float]:
    """s_k = n_k / sum of the n_j, n_k the sum of a client's squared weights over the rounds since the erased one came.

    n_k is the variance that updates independent of each other give to that part of I_k. In proportion to it, what is
    put on each client is as well covered by the client's own updates as on any other, and the sum tells all that can
    be told. Rounds before do not count: what a run held then can be known from its models, and covers nothing. Where
    nobody who stays took part in a round since, those count who repaired since, each as much; where nobody did, all
    rounds, then all repairs. A client that took part in nothing carries nothing: its I_k is known to be zero.
    """
    part, round = _came(past, frozenset(gone))
    since = (_squares(past, round, patients), _repairers(past, part), _squares(past, 1, patients), _repairers(past, 0))
    squares = next((found for found in since if any(found.values())), dict.fromkeys(_who_carry(past), 1.0))
    total = sum(squares.values())
    return {client: square / total for client, square in squares.items()}


def _came(past: Succession, gone: frozenset[ClientId]) -> tuple[int, int]:
    """The part in which the erased first trained, and the first round that is not before, counted over all parts."""
    number = 0
    for index, part in enumerate(past.parts):
        for round in range(1, part.history.rounds + 1):
            number += 1
            if gone & set(part.history.weights(round)):
                return index, number
        if gone & part.repaired():
            return index, number + 1
    return 0, 1


def _repairers(past: Succession, first: int) -> dict[ClientId, float]:
    """1 for each client whose repair of the part `first`, or of a later one, is in its influence; 0 for the others."""
    repairers = {client for part in past.parts[first:] for client in part.repair}
    return {client: float(client in repairers) for client in past.clients}


def _squares(past: Succession, first: int, patients: Mapping[ClientId, object]) -> dict[ClientId, float]:
    """Each client's squared weights, summed over the rounds from `first` on, which are counted over all parts."""
    squares, number = dict.fromkeys(past.clients, 0.0), 0
    for part in past.parts:
        for round in range(1, part.history.rounds + 1):
            number += 1
            for client, weight in part.history.weights(round).items():
                if number >= first and client in squares and client not in patients:
                    squares[client] += weight**2
    return squares
