# SPDX-License-Identifier: MIT
"""The history of a training: the read-only Protocol, and the one that lives in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fedlethe.errors import FedletheError, HistoryError
from fedlethe.federation.aggregate import contribution
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, RoundRecord, Vector
from fedlethe.vector import Layout


class History(Protocol):
    """What was kept of training. A reader that asks for what was not kept gets a FedletheError that names it.

    The vectors that it returns must not be written to.
    """

    @property
    def layout(self) -> Layout:
        """The layout of every vector."""
        ...

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """All clients of the federation, sorted, also those that took part in no round."""
        ...

    @property
    def rounds(self) -> int:
        """R, the number of complete rounds."""
        ...

    @property
    def clean_rounds(self) -> int:
        """The last round up to which each global model is the training's alone, without who was erased since; R if all.

        No model that an erasure made is one, nor any that came of it.
        """
        ...

    def contributors(self) -> frozenset[ClientId]:
        """Whose updates are in the final model: those that entered a round, or a repair round since."""
        ...

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """p_k,t of the clients whose updates entered the round, 1 <= round <= R."""
        ...

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """Who was asked in the round, sorted, those refused included."""
        ...

    def initial(self) -> Vector:
        """w_0, shape (P,). Needs INITIAL."""
        ...

    def final(self) -> Vector:
        """w_R, shape (P,)."""
        ...

    def influence(self, client: ClientId) -> Vector:
        """I_k = sum over t of p_k,t x delta_k,t, shape (P,); zero if it took part in no round. Needs INFLUENCE."""
        ...

    def global_model(self, round: int) -> Vector:
        """w_t, shape (P,), 0 <= round <= R. Needs GLOBALS."""
        ...

    def delta(self, round: int, client: ClientId) -> Vector:
        """delta_k,t, shape (P,). Needs DELTAS (in round one FIRST_DELTAS will do)."""
        ...

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """The L2 norm of each named tensor of delta_k,t. Needs NORMS."""
        ...


def retained_weights(history: History, round: int, forget: frozenset[ClientId]) -> dict[ClientId, float]:
    """p_k,t / (sum over the retained p) of the retained clients whose updates entered the round.

    The forgotten clients are in no numerator and no denominator; empty where nobody else entered the round.
    """
    kept = {client: weight for client, weight in history.weights(round).items() if client not in forget}
    total = sum(kept.values())
    return {client: weight / total for client, weight in kept.items()}


def last_weight(history: History, client: ClientId) -> tuple[int, float]:
    """The last round that a client's update entered, and its p_k,t there.

    Raises:
        FedletheError: It entered none: the client took part in repair rounds alone.
    """
    last = max((round for round in range(1, history.rounds + 1) if client in history.weights(round)), default=None)
    if last is None:
        raise HistoryError(f"{client}: took part in repair rounds alone; erase it by influence or retrain")
    return last, history.weights(last)[client]


def residual(history: History, round: int, forget: frozenset[ClientId]) -> Vector:
    """What the forgotten clients' presence changed in a round's step, shape (P,): with them less without them.

    Without them the retained clients' deltas are re-weighted; where nobody is retained the step would be zero.
    Needs DELTAS.
    """
    change = torch.zeros(history.layout.size)
    kept = retained_weights(history, round, forget)
    if len(kept) == len(history.weights(round)):  # none of them was there: exactly zero, and no delta is read
        return change
    # sum p delta - sum p' delta in one pass: p' is 0 of who is forgotten, and a larger share of who is retained.
    for client, weight in history.weights(round).items():
        change.add_(history.delta(round, client), alpha=weight - kept.get(client, 0.0))
    return change


def retained_schedule(
    history: History, forget: frozenset[ClientId], after: int = 0
) -> list[tuple[int, tuple[ClientId, ...]]]:
    """The rounds after `after` with the participants that they had, less the forgotten ones; nobody in some of them.

    Raises:
        HistoryError: Nobody is left in any round, so there is no training to make of it.
    """
    schedule = [
        (round, tuple(client for client in history.participants(round) if client not in forget))
        for round in range(after + 1, history.rounds + 1)
    ]
    if schedule and not any(clients for _, clients in schedule):
        raise HistoryError(
            f"only {', '.join(sorted(forget))} took part in the rounds after round {after}, so nobody is left to train "
            "them again; train anew without them, and with more participation"
        )
    return schedule


def keeps_delta(keep: frozenset[Need], round: int) -> bool:
    """Whether a history that keeps this holds the clients' deltas of this round."""
    return Need.DELTAS in keep or (Need.FIRST_DELTAS in keep and round == 1)


FOR_A_METHOD, FOR_A_REPLAY = "name the method that needs it, or keep everything", "keep everything"
"""What to train again with, so that a method finds what it reads; or rebuilding every round does."""


def not_kept(need: Need, mend: str = FOR_A_METHOD) -> FedletheError:
    """The error for what the history does not hold."""
    return HistoryError(f"this run did not keep {need.value}; train it again and {mend}")


class InMemoryHistory:
    """A history that is appended to round by round, for tests, examples and replays.

    Args:
        initial: w_0, shape (P,).
        layout: Its layout.
        clients: All clients of the federation.
        keep: What to keep.
    """

    def __init__(self, initial: Vector, layout: Layout, clients: Sequence[ClientId], keep: frozenset[Need]) -> None:
        self.layout = layout
        self.clients = tuple(sorted(clients))
        self.keep = keep
        self._initial = self._final = initial
        self._globals = [initial]
        self._influence = {client: torch.zeros_like(initial) for client in self.clients}
        self._deltas: dict[tuple[int, ClientId], Vector] = {}
        self._norms: dict[tuple[int, ClientId], Mapping[str, float]] = {}
        self._weights: list[Mapping[ClientId, float]] = []
        self._participants: list[tuple[ClientId, ...]] = []

    def append(self, record: RoundRecord) -> None:
        """Take in the next round."""
        self._weights.append(dict(record.weights))
        self._participants.append(tuple(sorted([*record.updates, *record.refused])))
        self._final = record.after
        if Need.GLOBALS in self.keep:
            self._globals.append(record.after)
        for client, update in record.updates.items():
            # The delta, not the model: a model holds the global one that it began from, and with it every other client.
            if keeps_delta(self.keep, record.round):
                self._deltas[record.round, client] = update.model - record.before
            if Need.NORMS in self.keep:
                self._norms[record.round, client] = self.layout.norms(update.model - record.before)
            if Need.INFLUENCE in self.keep:
                self._influence[client] += contribution(update.model, record.before, record.weights[client])

    @property
    def rounds(self) -> int:
        """See `History.rounds`."""
        return len(self._weights)

    @property
    def clean_rounds(self) -> int:
        """See `History.clean_rounds`: all of them."""
        return self.rounds

    def contributors(self) -> frozenset[ClientId]:
        """See `History.contributors`."""
        return frozenset(client for weights in self._weights for client in weights)

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`."""
        return self._weights[round - 1]

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        return self._participants[round - 1]

    def initial(self) -> Vector:
        """See `History.initial`."""
        self._demand(Need.INITIAL)
        return self._initial

    def final(self) -> Vector:
        """See `History.final`."""
        return self._final

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`."""
        self._demand(Need.INFLUENCE)
        return self._influence[client]

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        self._demand(Need.GLOBALS)
        return self._globals[round]

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        if not keeps_delta(self.keep, round):
            raise not_kept(Need.DELTAS)
        return self._deltas[round, client]

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """See `History.norms`."""
        self._demand(Need.NORMS)
        return self._norms[round, client]

    def _demand(self, need: Need) -> None:
        if need not in self.keep:
            raise not_kept(need)
