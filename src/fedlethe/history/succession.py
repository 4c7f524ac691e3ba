# SPDX-License-Identifier: MIT
"""Several trainings, each begun from what an erasure left of the one before, read as the history of one training.

The clients erased between them are in no round, no weight and no influence of what came before their erasure; what
they did afterwards, if they came back, stays. So a method that is handed this history erases the next client from the
result of the earlier erasures, and one that trains again from the start does so without any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fedlethe.history.history import History
from fedlethe.later import torch
from fedlethe.types import ClientId, Need, Vector
from fedlethe.vector import Layout


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One training, and what was erased from what it led to.

    Attributes:
        history: Of the training.
        keep: What it keeps.
        erased: Who was erased from its final model.
        repair: Client to what its updates in the repair rounds added, the sum of p_k x delta_k, shape (P,).
        trained: Who trained in the erasures from it, to unlearn or to repair, by their records: also where what they
            added is not kept.
        patients: Client to its patients that were taken out of a closed-form model.
        revised: Client to the file of its statistics without them.
        erasure: The id of the last erasure from what it led to; None where there was none.
        anew: Whether an erasure trained all rounds anew, of this part and of those before it: `repair` then holds what
            that training put into the model, and the influences of the first one are in it no more.
    """

    history: History
    keep: frozenset[Need]
    erased: frozenset[ClientId] = frozenset()
    repair: Mapping[ClientId, Vector] = field(default_factory=dict)
    trained: frozenset[ClientId] = frozenset()
    patients: Mapping[ClientId, frozenset[str]] = field(default_factory=dict)
    revised: Mapping[ClientId, str] = field(default_factory=dict)
    erasure: str | None = None
    anew: bool = False

    def contributors(self) -> frozenset[ClientId]:
        """Whose updates entered a round, or an erasure's training."""
        return self.history.contributors() | self.repaired()

    def repaired(self) -> frozenset[ClientId]:
        """Whose updates entered the model by an erasure from this training."""
        return self.trained | set(self.repair)

    def with_erased(self, erased: frozenset[ClientId]) -> Part:
        """The same training, others erased from what it led to."""
        return replace(self, erased=erased)


def gone_after(parts: Sequence[Part]) -> tuple[frozenset[ClientId], ...]:
    """Of each part, who was erased after it, or after a later one: they are in nothing that it holds any more."""
    return tuple(frozenset[ClientId]().union(*(part.erased for part in parts[i:])) for i in range(len(parts)))


def all_took_part(parts: Sequence[Part]) -> bool:
    """Whether everybody who could take part in a round did, in every round of these trainings.

    Else a training without some of them would draw other participants for the same rounds.
    """
    return all(
        set(part.history.clients) <= set(part.history.participants(round))
        for part in parts
        for round in range(1, part.history.rounds + 1)
    )


class Succession:
    """See the module's docstring; the methods are those of `History`.

    Formal guarantees:
        Weights are those of a federation without the clients erased later: p_k over the sum of the others' p.
        `global_model(t)` at the end of a part is the model that the next one began with.

    Args:
        parts: At least one, in their order.
        final: The model that they led to, erasures included, shape (P,).
    """

    def __init__(self, parts: Sequence[Part], final: Vector) -> None:
        self.parts = tuple(parts)
        self._final = final
        self._gone = gone_after(parts)
        self.keep = frozenset.intersection(*(part.keep for part in parts))
        if any(part.anew for part in parts):  # the rounds of the training before are not the model's any more
            self.keep &= {Need.INITIAL, Need.INFLUENCE}

    @property
    def layout(self) -> Layout:
        """See `History.layout`."""
        return self.parts[0].history.layout

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """See `History.clients`: those of any part that were not erased after it."""
        pairs = zip(self.parts, self._gone, strict=True)
        return tuple(sorted({client for part, gone in pairs for client in part.history.clients if client not in gone}))

    @property
    def rounds(self) -> int:
        """See `History.rounds`: of all parts together."""
        return sum(part.history.rounds for part in self.parts)

    @property
    def clean_rounds(self) -> int:
        """See `History.clean_rounds`."""
        passed = 0
        for part, gone in zip(self.parts, self._gone, strict=True):
            for round in range(1, part.history.rounds + 1):
                if gone & set(part.history.weights(round)):
                    return passed + round - 1
            passed += part.history.rounds
            if part.erasure is not None:  # `global_model` there is what the erasure made: by noise, by a repair
                return passed - 1
        return self.rounds

    def contributors(self) -> frozenset[ClientId]:
        """See `History.contributors`."""
        pairs = zip(self.parts, self._gone, strict=True)
        return frozenset(client for part, gone in pairs for client in part.contributors() if client not in gone)

    def weights(self, round: int) -> Mapping[ClientId, float]:
        """See `History.weights`."""
        history, gone, own = self._of(round)
        kept = {client: weight for client, weight in history.weights(own).items() if client not in gone}
        total = sum(kept.values())
        return {client: weight / total for client, weight in kept.items()}

    def participants(self, round: int) -> tuple[ClientId, ...]:
        """See `History.participants`."""
        history, gone, own = self._of(round)
        return tuple(client for client in history.participants(own) if client not in gone)

    def initial(self) -> Vector:
        """See `History.initial`."""
        return self.parts[0].history.initial()

    def final(self) -> Vector:
        """See `History.final`."""
        return self._final

    def influence(self, client: ClientId) -> Vector:
        """See `History.influence`: what is left of it in the final model, repair rounds included."""
        total = torch.zeros(self.layout.size)
        # What a training anew led to holds nothing of the rounds before it: influences count from the last one on.
        first = max((index for index, part in enumerate(self.parts) if part.anew), default=0)
        for part, gone in zip(self.parts[first:], self._gone[first:], strict=True):
            if client in gone:
                continue
            if not part.anew and client in part.history.clients:
                total += part.history.influence(client)
            if client in part.repair:
                total += part.repair[client]
        return total

    def global_model(self, round: int) -> Vector:
        """See `History.global_model`."""
        if round == self.rounds:
            return self._final
        # By the round that began from it: between two parts lies an erasure, and the next one began from its model.
        history, _, own = self._of(round + 1)
        return history.initial() if own == 1 else history.global_model(own - 1)

    def delta(self, round: int, client: ClientId) -> Vector:
        """See `History.delta`."""
        history, _, own = self._of(round)
        return history.delta(own, client)

    def norms(self, round: int, client: ClientId) -> Mapping[str, float]:
        """See `History.norms`."""
        history, _, own = self._of(round)
        return history.norms(own, client)

    def _of(self, round: int) -> tuple[History, frozenset[ClientId], int]:
        """The history that a round belongs to, who was erased after it, and the round's number in it."""
        own = round
        for part, gone in zip(self.parts, self._gone, strict=True):
            if own <= part.history.rounds:
                return part.history, gone, own
            own -= part.history.rounds
        raise IndexError(f"round {round} of {self.rounds}")
