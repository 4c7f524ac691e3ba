# SPDX-License-Identifier: MIT
"""The files of a run folder: written whole, sealed if they are a client's, and held against the ledger when read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fedlethe.errors import IntegrityError
from fedlethe.files import ASIDE, abandoned, removing, sha256_of, sync_folder
from fedlethe.history import checkpoint
from fedlethe.history.entries import OF_RUN, REPLACED, Artefact, ArtefactKind
from fedlethe.history.keyring import Keyring
from fedlethe.history.ledger import Ledger
from fedlethe.history.paths import Kind, of_erasure
from fedlethe.history.rows import ENDINGS, FOLDERS
from fedlethe.history.sealing import SEALED
from fedlethe.types import ClientId, Vector
from fedlethe.vector import Layout

_, CHECKPOINT, JSON = ENDINGS
WRITTEN = frozenset({*ENDINGS, ".csv", ".png", ".svg", ASIDE})
"""How the names of all files in FOLDERS end; somebody else's are left alone."""

SHOWN = "report"
"""The folder of pages and pictures."""


class Store:
    """A run folder's files. Where a name is asked for, it is a file's place in the folder without its ending.

    Args:
        path: The run folder.
        ledger: Its ledger.
        encrypt: Whether new files of a client are sealed with its key.
    """

    def __init__(self, path: Path, ledger: Ledger, encrypt: bool) -> None:
        self.path = path
        self.ledger = ledger
        self.keys = Keyring(path, ledger)
        self.encrypt = encrypt

    def save(
        self,
        kind: ArtefactKind,
        name: str,
        client: ClientId | None,
        vector: Vector,
        layout: Layout,
        round: int | None = None,
    ) -> Artefact:
        """Write a vector, shape (P,), as `write` does."""
        return self.write(kind, name, client, checkpoint.parts(vector, layout), round)

    def write(
        self,
        kind: ArtefactKind,
        name: str,
        client: ClientId | None,
        parts: Sequence[Any],
        round: int | None = None,
        ending: str = CHECKPOINT,
    ) -> Artefact:
        """Write a file, sealed if it is a client's; the caller enters it in the ledger.

        Args:
            kind: What it is.
            name: Its name.
            client: Whose it is; None if it is the federation's.
            parts: What it holds: buffers, one after the other.
            round: After which round, if any.
            ending: Of its name, where it is not sealed.
        """
        # Whose it is decides whether it is sealed, not what it is: no kind of file can be forgotten in a list.
        name += SEALED if client is not None and self.encrypt else ending
        digest = checkpoint.write(self.place(name), parts, self.keys.seal(client, name))
        return self.artefact(kind, name, client, round, digest)

    def artefact(
        self,
        kind: ArtefactKind,
        path: str,
        client: ClientId | None = None,
        round: int | None = None,
        sha256: str | None = None,
    ) -> Artefact:
        """A file that is in its place, as the ledger has it."""
        place = self.path / path
        return Artefact(path, kind, client, round, place.stat().st_size, sha256 or sha256_of(place))

    def holds(self, name: str) -> bool:
        """Whether a file is there."""
        known = self.ledger.artefacts()
        return any(name + ending in known for ending in ENDINGS)

    def find(self, name: str) -> Artefact:
        """What the ledger knows of a file, sealed or not.

        Raises:
            FedletheError: Nothing, or that it was removed.
        """
        known, gone = self.ledger.artefacts(), self.ledger.tombstones()
        for ending in ENDINGS:  # a run can have been opened with encryption and without it: both are found
            if name + ending in known:
                return known[name + ending]
        for ending in ENDINGS:
            if (past := gone.get(name + ending)) is not None:
                path = self.path / past.artefact.path
                then = self._instead(past.because) if OF_RUN in past.because else ""
                raise IntegrityError(f"{path}: was removed on {past.at} ({past.because}); it cannot be had back{then}")
        raise IntegrityError(f"{self.path / name}: the ledger does not name it; the run does not reach that far")

    def _instead(self, because: str) -> str:
        """What to do where the purge of a later run removed a file: where that run lies, and what is left here."""
        purges = [event.body for event in self.ledger.events("purge")]
        folders = [body.get("folder") for body in purges if because.endswith(body["request"])]
        where = f": {(self.path / folders[-1]).resolve()}" if folders and folders[-1] else ""
        # After a purge of this run its model is the only one to begin from, and that is what is looked for then.
        left = [] if any(body["erasure"] for body in purges) else self.erasures_left()
        begin = f", or erase here after an erasure whose model is left: {left[-1]}" if left else ""
        return f"; go on in that run, which began from this one{where}{begin}"

    def erasures_left(self) -> list[str]:
        """The ids of the erasures whose models are there."""
        return [id for id in self.ledger.erasures().values() if self.holds(of_erasure(id, Kind.MODEL))]

    def load(self, artefact: Artefact, layout: Layout) -> Vector:
        """A file's vector, shape (P,).

        Raises:
            FedletheError: It is missing, changed, of another model, or its key does not open it.
        """
        return checkpoint.load(self.path / artefact.path, layout, artefact.sha256, self.keys.opens(artefact))

    def content(self, artefact: Artefact) -> bytes:
        """The bytes of a file, or what a sealed one holds.

        Raises:
            FedletheError: It is missing or changed, or its key does not open it.
        """
        return checkpoint.read(self.path / artefact.path, artefact.sha256, self.keys.opens(artefact)).tobytes()

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files that the ledger does not name any more."""
        for path in paths:
            with removing(self.path / path):
                self.place(path).unlink(missing_ok=True)

    def place(self, name: str) -> Path:
        """Where a file of the run lies.

        Raises:
            FedletheError: A folder on the way is a link, so that the file would be another folder's.
        """
        place = self.path / name
        # Up to the run folder and no further: that one may lie behind a link, such as a mounted disk.
        for folder in place.parents:
            if folder == self.path:
                break
            if folder.is_symlink():
                raise IntegrityError(f"{folder}: is a link out of the run folder; put the folder itself in its place")
        return place

    def demand_no_links(self) -> None:
        """Refuse a run folder with a folder that is a link: what is removed there would be somebody else's.

        Raises:
            FedletheError: One is.
        """
        for top in (*sorted(set(FOLDERS.values())), SHOWN, "keys"):
            self.place(f"{top}/-")
            for folder, below, _ in os.walk(self.path / top):
                for name in below:
                    self.place(f"{Path(folder, name).relative_to(self.path).as_posix()}/-")

    def prune(self) -> None:
        """Remove folders that are empty, and make all removals durable."""
        for folder in sorted(set(FOLDERS.values())):
            with removing(self.path / folder):
                self._prune(self.path / folder)

    def _prune(self, place: Path) -> None:
        if place.is_dir():
            for path in sorted(place.rglob("*"), reverse=True):  # what lies deeper comes first
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
                elif path.is_dir():
                    sync_folder(path)
            sync_folder(place)

    def clear_strays(self) -> None:
        """Remove what the ledger does not name: half-written files, and those whose removal was cut off; keys, too.

        What cannot be removed stays, and `ledger verify` names it.
        """
        for path in self._strays():
            with suppress(OSError):
                path.unlink()
        self.keys.clear_strays()

    def _strays(self) -> Iterator[Path]:
        named = {self.path / path for path in self.ledger.artefacts()}
        for folder in sorted(set(FOLDERS.values())):
            for path in (self.path / folder).rglob("*"):
                # By its ending as well: a note that somebody put into the folder is not ours to remove.
                if path.suffix in WRITTEN and path not in named and path.is_file():
                    yield path
        yield from self.path.glob(f"*{ASIDE}")
        yield from (path for path in (self.path / SHOWN).rglob(f"*{ASIDE}") if abandoned(path, own=True))

    def demand(self, path: str) -> None:
        """Refuse a file that is not as it was entered.

        Raises:
            FedletheError: It is missing, a link, or has other bytes.
        """
        if problem := self.problem(self.ledger.artefacts()[path]):
            raise IntegrityError(f"{problem}; restore it from a backup")

    def problem(self, artefact: Artefact) -> str | None:
        """What is wrong with a file, in words; None where it is as it was entered."""
        path = self.path / artefact.path
        # Even a link to the right bytes: whoever owns its target can change them after they were looked at.
        if path.is_symlink():
            return f"{path}: is a link, which fedlethe does not make; put the file itself in its place"
        if not path.is_file():
            return f"{path}: is missing, though the ledger names it"
        return None if sha256_of(path) == artefact.sha256 else f"{path}: its bytes are not those that the ledger names"

    def problems(self) -> Iterator[str]:
        """Every file that is missing, has other bytes than the ledger names, or is there though it was purged."""
        for artefact in self.ledger.artefacts().values():
            if (problem := self.problem(artefact)) is not None:
                yield problem
        for name, tombstone in self.ledger.tombstones().items():
            # What a later round replaced is cleared away with the next write, if an interrupt left it there.
            if tombstone.because != REPLACED and os.path.lexists(self.path / name):
                yield f"{self.path / name}: is there, though it was removed on {tombstone.at} ({tombstone.because})"


def of_round(kind: ArtefactKind, round: int, client: ClientId | None = None) -> str:
    """The name of a round's file."""
    return "/".join([FOLDERS[kind], *([] if client is None else [client]), f"round_{round:04d}"])
