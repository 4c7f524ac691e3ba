# SPDX-License-Identifier: MIT
"""What is kept of a completed erasure, and reading it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedlethe.erasing.order import ErasureOrder
from fedlethe.errors import HistoryError, IntegrityError, RequestError
from fedlethe.federation.cautions import cautions
from fedlethe.history.disk import RunFolder
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.store import CHECKPOINT, JSON
from fedlethe.history.succession import Part
from fedlethe.privacy.hiding import Hidden
from fedlethe.runs.records import from_json, from_plain, to_plain
from fedlethe.types import ClientId, Cost, Guarantee, Stage


@dataclass(frozen=True, slots=True)
class Erasure:
    """A completed erasure.

    Attributes:
        run: The run folder.
        id: Names it within the run.
        model: Its model file.
        request: What was asked for, see `ErasureOrder.to_dict`.
        forget: Who was erased.
        method: How, by its name in METHODS.
        guarantee: What is certain of it; None where there is evidence only.
        stages: 'before', 'unlearned', 'masked' (where there is a mask), 'repaired 1', ...
        cost: Of all stages together.
        retraining_examples: The examples that retraining without the clients takes, by the record of the rounds.
        after: The erasure that it began from; None for the trained model.
        patients: Client to what stands for its patients that were taken out, where these were not whole clients.
        joined: Clients that were taken back in.
        found: Figures that the method found on the way, by name.
        hidden: What is hidden of who was erased, and from whom; None where nothing is.
        not_hidden: Why not, where there is a mask nevertheless.
        together: What is hidden from whoever has the models of several erasures of the same clients.
        retraining_at_most: Whether retraining takes fewer than `retraining_examples`: patients left, in this erasure or
            before it, and the rounds do not tell their images from the others.
    """

    run: Path
    id: str
    model: Path
    request: Mapping[str, Any]
    forget: tuple[ClientId, ...]
    method: str
    guarantee: Guarantee | None
    stages: tuple[Stage, ...]
    cost: Cost
    retraining_examples: int
    after: str | None = None
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    joined: tuple[ClientId, ...] = ()
    found: Mapping[str, float] = field(default_factory=dict)
    hidden: Hidden | None = None
    not_hidden: str | None = None
    together: str | None = None
    retraining_at_most: bool = False

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], run: Path) -> Erasure:
        """What `to_dict` gave, of an erasure that lies in a run folder.

        Raises:
            HistoryError: It is something else, or of an earlier version.
        """
        model = run / f"{of_erasure(str(facts.get('id')), Kind.MODEL)}{CHECKPOINT}"
        return from_plain({**facts, "run": run, "model": model}, cls)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as erasure.json has them: all but where the folder lies, which can be moved."""
        return to_plain(self, Erasure, "run", "model")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be known of the erased model before its figures are read (see `cautions`)."""
        return cautions(self.stages[-1].evaluation, self.forget, self.stages[0].evaluation)

    @property
    def retraining(self) -> str:
        """How many examples retraining takes, in words."""
        return f"{'at most ' if self.retraining_at_most else ''}{self.retraining_examples:,}"

    @property
    def decoyed(self) -> bool:
        """Whether some of the clients are decoys."""
        return self.hidden is not None and self.hidden.by == "decoys"

    @property
    def hiding(self) -> tuple[str, ...]:
        """What is hidden of who was erased and what is not, in sentences; nothing where nothing is masked."""
        if self.hidden is None:
            return () if self.not_hidden is None else (f"nothing is claimed of the noise; {self.not_hidden}",)
        lines = [self.hidden.statement, f"covered: {self.hidden.covers}", f"not covered: {self.hidden.leaves}"]
        return (*lines, *([] if self.together is None else [f"hidden together: {self.together}"]))

    @property
    def subject(self) -> str:
        """What was done to whom, in words."""
        if self.joined:
            return f"{', '.join(self.joined)} joined"
        held = [f"{self._patients(names)} of {client}" for client, names in self.patients.items()]
        return ", ".join([*(client for client in self.forget if client not in self.patients), *held])

    @staticmethod
    def _patients(names: Sequence[str]) -> str:
        return f"{len(names)} patients" if len(names) > 1 else "a patient"


def retraining_examples(parts: Sequence[Part], forget: Iterable[ClientId], joined: Iterable[ClientId] = ()) -> int:
    """Images that retraining without these clients, and without those erased before, puts through a gradient step.

    Args:
        parts: The trainings that led to the model that they are erased from.
        forget: Who is erased.
        joined: Who was erased before, and comes back.
    """
    total = 0
    for part, gone in _without(parts, forget, joined):
        if isinstance(part.history, RunFolder):
            entries = part.history.ledger.participation()
            total += sum(entry.examples_processed or 0 for entry in entries if entry.client not in gone)
    return total


def patients_left(parts: Sequence[Part], forget: Iterable[ClientId], joined: Iterable[ClientId] = ()) -> bool:
    """Whether patients left before of clients that stay, whose images `retraining_examples` counts; its arguments."""
    return any(set(part.patients) - gone for part, gone in _without(parts, forget, joined))


def _without(
    parts: Sequence[Part], forget: Iterable[ClientId], joined: Iterable[ClientId]
) -> Iterator[tuple[Part, set[ClientId]]]:
    """Each training, the last one first, and who is no part of it when it is made again."""
    gone, back = set(forget), set(joined)
    for part in reversed(parts):
        gone = (gone | part.erased) - back
        yield part, gone


def erasures(history: RunFolder) -> list[Erasure]:
    """The completed erasures of a run, in their order."""
    return [recorded(history, id) for id in history.ledger.erasures().values()]


def done(history: RunFolder, request: ErasureOrder) -> Erasure | None:
    """The erasure that carried out this very request, if there was one."""
    id = history.ledger.erasures().get(request.canonical(history.store.keys.pseudonym))
    return None if id is None else recorded(history, id)


def recorded(history: RunFolder, id: str) -> Erasure:
    """What was entered of an erasure.

    Raises:
        FedletheError: There is no such erasure, its record is not the one that the ledger names, or it is of an
            earlier version.
    """
    content, path = history.erasure_record(id), history.path / f"{of_erasure(id, Kind.RECORD)}{JSON}"
    try:
        held = Erasure.from_dict(from_json(content, dict[str, Any]), history.path)
    except HistoryError:
        raise RequestError(f"{path}: is of an earlier version; read it with that one, or train anew") from None
    if held.id != id:
        raise IntegrityError(f"{path}: is the record of erasure '{held.id}'; restore this file from a backup")
    return held
