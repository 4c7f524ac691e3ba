# SPDX-License-Identifier: MIT
"""Nodes that come back after they were erased: known by name, by their key, and by what images they hold.

A node that is described (see `client.description`) sends a sketch of its images, fingerprints by a key that the run's
server drew; so the images of an erased hospital, which is sent nothing any more, are known when they come again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedlethe.data.prints import SHARE, shared, sketch
from fedlethe.errors import HistoryError
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.recorded_folder import PLACE, Recorded, known_identities
from fedlethe.flower.nodes.roster import NodeIdentity
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import BEGAN
from fedlethe.history.sealing import SECRET, Key
from fedlethe.history.succession import Part
from fedlethe.runs.beginning import Beginning, LeftOut
from fedlethe.runs.erased_before import ErasedBefore, demand_erased
from fedlethe.runs.kept_prints import key_of
from fedlethe.runs.past import begun_parts, part_of
from fedlethe.runs.remote import REMOTE
from fedlethe.runs.run_toml import read_run_document
from fedlethe.types import ClientId

SKETCHES = "sketches"
"""Below [run.nodes] in run.toml: client to the sketch of its images."""


@dataclass(kw_only=True)
class Returning:
    """Who was erased before a run, and whom of those that are connected it leaves out.

    Attributes:
        take_back: Who was erased and takes part again.
        erased: Who was erased and does not.
        names: All who were erased, taken back or not.
        known: Who was met in the runs before, by the digest of the node's key.
        key: What the nodes make their images' fingerprints with.
        sketches: Of each client that was erased, what is known of its images.
        not_checked: What could not be looked for.
        left_out: Who was found and is left out.
    """

    take_back: tuple[ClientId, ...] = ()
    erased: ErasedBefore = field(default_factory=ErasedBefore)
    names: frozenset[ClientId] = frozenset()
    known: dict[str, NodeIdentity] = field(default_factory=dict)
    key: Key = field(default_factory=lambda: Key(secrets.token_bytes(SECRET)))
    sketches: dict[ClientId, list[str]] = field(default_factory=dict)
    not_checked: list[str] = field(default_factory=list)
    left_out: dict[ClientId, LeftOut] = field(default_factory=dict)
    _came_with: dict[ClientId, set[ClientId]] = field(default_factory=dict)
    _same: set[ClientId] = field(default_factory=set)

    @classmethod
    def after(cls, parts: Sequence[Part], take_back: Sequence[ClientId], images: bool = True) -> Returning:
        """Of these trainings and erasures, the first one first.

        Args:
            parts: What led to where the run begins; open.
            take_back: Who takes part again.
            images: Whether nodes tell anything of their images.
        """
        erased = ErasedBefore.before(parts)
        found = cls(take_back=tuple(dict.fromkeys(take_back)), erased=erased)
        found.names = frozenset({*erased.clients, *erased.patients})
        for part in parts:
            found.known |= known_identities(_folder(part).path)
        erased.taken_back(found.take_back)
        if images:
            found._read_sketches([_folder(part) for part in parts])
        elif erased.clients:
            found.not_checked.append(
                "an app of your own does not tell what images its nodes hold, so those of "
                f"{', '.join(sorted(erased.clients))} are not known under another name and another key"
            )
        found.not_checked += [
            f"single patients of {client} were erased; over nodes they cannot be left out, so see to it that they are "
            "not in its images"
            for client in sorted(erased.patients)
        ]
        return found

    def _read_sketches(self, folders: Sequence[RunFolder]) -> None:
        """What is known of the erased clients' images, by the newest key that is at hand."""
        keys = [key for folder in folders if (key := key_of(folder)) is not None]
        if keys:
            self.key = keys[-1]
        for folder in folders:
            if key_of(folder) == self.key:
                facts = read_run_document(folder.path)["run"].get(REMOTE, {})
                held: Mapping[ClientId, list[str]] = facts.get(SKETCHES, {})
                self.sketches |= {client: list(one) for client, one in held.items() if client in self.erased.clients}
        for one in self.erased.prints:
            if one.key == self.key:
                own = {client: sketch(held) for client, held in one.clients.items() if client in self.erased.clients}
                self.sketches |= own
        self.not_checked += [
            f"no fingerprints of {client}'s images are at hand, so they are not known under another name and key"
            for client in sorted(set(self.erased.clients) - set(self.sketches))
        ]

    def look(self, grid: RetainedGrid) -> None:
        """Take the nodes that are connected off the grid that an erased client's name or key is known by."""
        of_key = {digest: one.client for digest, one in self.known.items() if one.client in self.erased.clients}
        for identity in grid.roster.nodes.values():
            client = identity.client
            owner = client if client in self.erased.clients else of_key.get(identity.key or "")
            if owner is None:
                continue
            self._same.add(client)
            if client in self.take_back:
                self._came_with.setdefault(client, set()).add(owner)
            else:
                how = "" if owner == client else f"its node's key is that of {owner}, "
                because = f"{how}{self.erased.clients[owner]}; it comes back by take-back={client}"
                self._leave(grid, client, because)

    def compare(self, grid: RetainedGrid, sketches: Mapping[ClientId, Sequence[str]]) -> None:
        """Take those off the grid whose images are an erased client's."""
        for client in sorted(set(sketches) - set(self.left_out)):
            back = self.erased.returned.get(client, frozenset())
            for owner, known in sorted(self.sketches.items()):
                if owner in back:
                    continue
                share = shared(sketches[client], known)
                if not share:
                    continue
                self._same.add(client)
                words = f"about {100 * share:.0f} % of its images are those of {owner}, {self.erased.clients[owner]}"
                if client in self.take_back and client not in self.names:
                    self._came_with.setdefault(client, set()).add(owner)
                    continue
                # Some images in common can be patients who went to both; a hospital that was renamed has most of them.
                if share >= SHARE and client not in self.take_back:
                    self._leave(grid, client, f"{words}; it comes back by take-back={client}")
                    break
                self.not_checked.append(f"{client} takes part: {words}; over nodes single images cannot be left out")

    def _leave(self, grid: RetainedGrid, client: ClientId, because: str) -> None:
        grid.forget |= {client}
        self.left_out[client] = LeftOut(client=client, because=because)

    def beginning(self, after: str | None) -> Beginning:
        """What run.toml and the ledger hold of it.

        Raises:
            FedletheError: A name to take back was not erased.
        """
        demand_erased(self.take_back, {*self.names, *self._same})
        left = tuple(self.left_out[client] for client in sorted(self.left_out))
        return Beginning(
            after=after,
            take_back=self.take_back,
            came_with={client: tuple(sorted(owners)) for client, owners in sorted(self._came_with.items())},
            left_out=left,
            not_checked=tuple(self.not_checked),
        )


def lines(begun: Beginning) -> Iterator[str]:
    """What is said of where a run begins."""
    yield from map(str, begun.left_out)
    yield from (f"taken back, though erased before: {client}" for client in begun.take_back)
    yield from (f"not checked: {problem}" for problem in begun.not_checked)


def sketches_in(facts: Mapping[ClientId, Any]) -> dict[ClientId, list[str]]:
    """Client to the sketch in its description, of those who sent one."""
    return {client: list(one["sketch"]) for client, one in sorted(facts.items()) if "sketch" in one}


def recorded_parts(path: Path, after: str, stack: ExitStack) -> tuple[Part, ...]:
    """As `run.begun_parts`, for what an app of your own recorded.

    Raises:
        HistoryError: The folder is no erasure's.
    """
    folder = (path / after).resolve()
    run = folder.parent.parent
    if folder.parent.name != "erasures" or not (run / PLACE).is_file():
        if (run / "run.toml").is_file():
            return begun_parts(path, after, stack)
        raise HistoryError(f"{folder}: is not an erasure's folder; name one such as /srv/run/erasures/0001")
    history = stack.enter_context(Recorded.of(run).opened())
    began = [event.body["after"] for event in history.ledger.events(BEGAN)]
    before = recorded_parts(run, began[0], stack) if began else ()
    return (*before, part_of(history, folder.name))


def _folder(part: Part) -> RunFolder:
    assert isinstance(part.history, RunFolder)
    return part.history
