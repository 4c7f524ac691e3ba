# SPDX-License-Identifier: MIT
"""The trainings and erasures that led to a model, as run folders tell: of one run, and of those it began from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fedlethe.errors import HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import OF_RUN
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.succession import Part, Succession
from fedlethe.privacy.hiding import Hidden
from fedlethe.runs.records import from_json
from fedlethe.runs.run_toml import ERASURE_FOLDER, opened_folder, read_run_document
from fedlethe.types import ClientId, Cost, Guarantee, Need, Vector


@dataclass(frozen=True, slots=True)
class Made:
    """What the chain of erasures needs of an erasure's record, `erasing.record.Erasure`, whose names these are.

    Attributes:
        cost: Its `clients` are those who trained, to unlearn or to repair.
        after: As it was written: `chain_of` looks.
    """

    forget: tuple[ClientId, ...]
    method: str = ""
    guarantee: Guarantee | None = None
    cost: Cost = field(default_factory=Cost)
    after: Any = None
    patients: Mapping[ClientId, tuple[str, ...]] = field(default_factory=dict)
    joined: tuple[ClientId, ...] = ()
    found: Mapping[str, float] = field(default_factory=dict)
    hidden: Hidden | None = None

    @property
    def whole(self) -> frozenset[ClientId]:
        """The clients that were erased as a whole."""
        return frozenset(self.forget) - frozenset(self.patients)


@dataclass(frozen=True, slots=True)
class Lineage:
    """A run's folder, and the trainings and erasures that it began from.

    Attributes:
        history: What the folder holds.
        earlier: What it began from, the first one first; empty where it began anew.
    """

    history: RunFolder
    earlier: tuple[Part, ...] = ()

    @property
    def folders(self) -> list[RunFolder]:
        """The run's folder, then those that it began from, the nearest first."""
        earlier = [part.history for part in self.earlier if isinstance(part.history, RunFolder)]
        return [self.history, *earlier[::-1]]

    def parts(self, after: str | None = None) -> tuple[Part, ...]:
        """All trainings that led to this run's final model, or to the result of the erasure `after`."""
        return (*self.earlier, part_of(self.history, after or self.history.base))

    def past(self, after: str | None = None) -> RunFolder | Succession:
        """The history of `parts` as one; after a purge it goes on from the model of its erasure."""
        after = after or self.history.base
        if not self.earlier and after is None:
            return self.history
        for id, made in chain_of(self.history, after):
            if set(made.forget) & set(made.patients) and id > (self.history.base or ""):
                raise HistoryError(f"erasure {id} took patients out; finish its request first, with its purge")
        final = self.history.final() if after is None else self.history.erased_model(after)
        return Succession(self.parts(after), final)


def part_of(history: RunFolder, after: str | None) -> Part:
    """A run's training, and what its erasures took from it, from the first of their chain up to `after`.

    Raises:
        FedletheError: There is no such erasure.
    """
    repair: dict[ClientId, Vector] = {}
    patients: dict[ClientId, frozenset[str]] = {}
    revised: dict[ClientId, str] = {}
    anew = False
    chain = chain_of(history, after)
    # A purge after an erasure that is not among these rebased the influences on that one's model: they are not of ours.
    of_another = history.base is not None and history.base not in {id for id, _ in chain}
    for id, made in chain:
        if influences := history.anew(id):
            repair, anew = influences, True
        for client, vector in history.repair(id).items():
            repair[client] = repair[client] + vector if client in repair else vector
        for client, names in made.patients.items():
            patients[client] = patients.get(client, frozenset()) | set(names)
            revised[client] = of_erasure(id, Kind.REVISED_STATISTICS, client)
    return Part(
        history=history,
        keep=history.keep - {Need.INFLUENCE} if of_another else history.keep,
        erased=erased_in(chain),
        repair=repair,
        trained=frozenset().union(*(made.cost.clients for _, made in chain)),
        patients=patients,
        revised=revised,
        erasure=after,
        anew=anew,
    )


def made_in(history: RunFolder, id: str) -> Made:
    """What the record of an erasure says.

    Raises:
        FedletheError: There is no such erasure, or its record cannot be read.
    """
    content = history.erasure_record(id)
    try:
        return from_json(content, Made)
    except HistoryError as error:
        raise HistoryError(f"{history.path / 'erasures' / id / 'erasure.json'}: {error}") from None


def chain_of(history: RunFolder, after: str | None) -> list[tuple[str, Made]]:
    """The erasures that led to an erasure, itself the last: id and what erasure.json holds.

    Raises:
        FedletheError: There is no such erasure, or a record on the way cannot be read.
    """
    chain: list[tuple[str, Made]] = []
    while after is not None:
        history.demand_erasure(after)
        made = made_in(history, after)
        chain.append((after, made))
        after = made.after
        if after is not None and not (isinstance(after, str) and after < chain[-1][0]):
            raise HistoryError(
                f"{history.path}: erasure {chain[-1][0]} cannot come after '{str(after)[:40]}'; restore the run from a "
                "backup"
            )
    return chain[::-1]


def erased_in(chain: Iterable[tuple[str, Made]]) -> frozenset[ClientId]:
    """Who was erased as a whole by erasures that follow each other, and not taken back in by a later one."""
    erased = frozenset[ClientId]()
    for _, made in chain:
        erased = (erased | made.whole) - set(made.joined)
    return erased


def begun_after(path: Path, after: str, stack: ExitStack) -> tuple[RunFolder, str]:
    """The history of the run that a run began from, open as long as `stack` is, and the id of the erasure.

    Raises:
        FedletheError: The folder is no erasure's.
    """
    folder = (path / after).resolve()
    if not ERASURE_FOLDER.fullmatch(str(folder)):
        raise HistoryError(f"{folder}: is not an erasure's folder; name one such as RUN/erasures/0001")
    _, history = stack.enter_context(opened_folder(folder.parent.parent))
    return history, folder.name


def earlier(path: Path, stack: ExitStack) -> tuple[Part, ...]:
    """The trainings and erasures that a run began from, the first one first; open as long as `stack` is."""
    return begun_parts(path, read_run_document(path)["run"].get("after"), stack)


def begun_parts(path: Path, after: str | None, stack: ExitStack) -> tuple[Part, ...]:
    """The same for a run that is to begin after an erasure, whose folder is given relative to the run's.

    Raises:
        FedletheError: The folder is no erasure's, or the runs began from each other in a circle.
    """
    parts: list[Part] = []
    passed, later = [path.resolve()], {_run_id(path)}
    while after is not None:
        history, id = begun_after(path, after, stack)
        path = history.path
        if path in passed:
            raise HistoryError(f"{path}: its run.toml leads back to itself (after = '{after}'); restore it")
        passed.append(path)
        parts.append(_unless_purged_beside(part_of(history, id), history, later))
        later.add(history.ledger.run_id)
        after = read_run_document(path)["run"].get("after")
    return tuple(parts[::-1])


def _unless_purged_beside(part: Part, history: RunFolder, later: Collection[str | None]) -> Part:
    """The part, without influences where a run beside this line of runs purged it: they are rebased in that run now.

    A purge by a run of the line is as it should be: that run keeps them, rebased on its own model.

    Args:
        part: Of an earlier run.
        history: That run.
        later: The ids of the runs that began from it, up to the one that is opened.
    """
    by = {event.body["request"].rpartition(OF_RUN)[2] for event in history.ledger.events("purge")
          if event.body["erasure"] is None}  # fmt: skip
    return part if by <= {*later} else replace(part, keep=part.keep - {Need.INFLUENCE, Need.DELTAS})


def _run_id(path: Path) -> str | None:
    """The id of the run in a folder; None where there is none yet."""
    if not (path / "ledger.db").is_file():
        return None
    history = RunFolder(path, (), frozenset())
    try:
        return history.ledger.run_id
    finally:
        history.close()
