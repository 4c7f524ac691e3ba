# SPDX-License-Identifier: MIT
"""Who was erased on the way to where a run begins, as the ledgers of the runs before it tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fedlethe.errors import HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import BEGAN
from fedlethe.history.request_log import requests_of
from fedlethe.history.succession import Part
from fedlethe.runs.images_erased import purged_images
from fedlethe.runs.kept_prints import Prints, kept_prints
from fedlethe.runs.past import chain_of
from fedlethe.types import ClientId


@dataclass(slots=True)
class ErasedBefore:
    """Who was erased on the way to where a run begins, and was not taken back since.

    Attributes:
        clients: Client to the erasure or purge that it was erased by, in words.
        patients: Of clients erased in part: the same, with what stands for each patient there.
        returned: Client that was taken back under another name, to the erased clients whose images it brought.
        prints: The fingerprints that were kept.
    """

    clients: dict[ClientId, str] = field(default_factory=dict)
    patients: dict[ClientId, list[tuple[RunFolder, frozenset[str], str]]] = field(default_factory=dict)
    returned: dict[ClientId, frozenset[ClientId]] = field(default_factory=dict)
    prints: list[Prints] = field(default_factory=list)

    @classmethod
    def before(cls, parts: Sequence[Part]) -> ErasedBefore:
        """Of these trainings and erasures, the first one first."""
        found = cls()
        for part in parts:
            assert isinstance(part.history, RunFolder)
            found._take(part.history, part.erasure)
        return found

    def taken_back(
        self, names: Iterable[ClientId], came_with: Mapping[ClientId, Iterable[ClientId]] | None = None
    ) -> None:
        """Have these clients, and their patients, take part again; with whose images, where it was another's name."""
        for name in names:
            if owners := frozenset((came_with or {}).get(name, ())):
                self.returned[name] = self.returned.get(name, frozenset()) | owners
            self.clients.pop(name, None)
            self.patients.pop(name, None)

    def _take(self, folder: RunFolder, last: str | None) -> None:
        # 1. Who was taken back when this run began: earlier runs' erasures of them do not count from here on.
        for event in folder.ledger.events(BEGAN):
            self.taken_back(event.body["take_back"], event.body.get("came_with", {}))
        # 2. Purged requests, whether or not their erasures lie on the way: their images are gone for good.
        ids = []
        for request in requests_of(folder.ledger).values():
            if request.purge is not None and request.erasure is not None:
                ids.append(request.erasure)
                self._enter(folder, request.erasure, request.clients, request.patients)
        # 3. Whom the purges say that they took, where no request above named them.
        for one in purged_images(folder):
            self.clients |= {
                client: f"a purge of {folder.path}" for client in one.clients if client not in self.clients
            }
        # 4. The erasures on the way, in their order, since a later one may have had a client join again.
        for id, made in chain_of(folder, last):
            ids.append(id)
            self._enter(folder, id, made.forget, made.patients)
            self.taken_back(made.joined)
        self.prints += kept_prints(folder, list(dict.fromkeys(ids)))

    def _enter(
        self, folder: RunFolder, id: str, clients: Iterable[ClientId], patients: Mapping[ClientId, Sequence[str]]
    ) -> None:
        where = f"erased by erasure {id} of {folder.path}"
        # What these brought back is erased again, and nobody has leave for their images any more.
        gone = {client for client in clients if client not in patients}
        self.returned = {name: owners - gone for name, owners in self.returned.items() if name not in gone}
        self.clients |= {client: where for client in clients if client not in patients}
        for client, names in patients.items():
            self.patients.setdefault(client, []).append((folder, frozenset(names), where))


def demand_erased(names: Iterable[ClientId], known: Iterable[ClientId]) -> None:
    """Refuse to take somebody back who was not erased."""
    there = sorted(set(known))
    for name in names:
        if name not in there:
            were = f"those erased are {', '.join(there)}" if there else "nobody was"
            raise HistoryError(f"take_back {name}: was not erased in what this run begins from; {were}")
