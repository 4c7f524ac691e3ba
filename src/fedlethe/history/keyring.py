# SPDX-License-Identifier: MIT
"""Which key seals what is kept of a client: made when it is first needed, entered in the ledger, destroyed for good."""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from fedlethe.errors import FedletheError, IntegrityError
from fedlethe.history import checkpoint
from fedlethe.history.chain import Body, Event, canonical
from fedlethe.history.entries import Artefact
from fedlethe.history.ledger import Ledger
from fedlethe.history.sealing import Key, Keys, Seal, id_of_file, is_sealed, key_id, keys_of
from fedlethe.types import ClientId

MADE, DESTROYED, OVERWRITTEN, GONE, LOST = "made", "destroyed", "overwritten", "gone", "lost"
"""What a row says of a key: it was made; it is to be destroyed; then that its file was overwritten and removed, or was
not there any more when an interrupted purge was resumed; or that somebody says that it is lost."""

IN_THE_RUN = "run"
"""Stands for the folder `keys` of the run folder, where a row says where keys lie."""

PATIENTS: ClientId = "-patients"
"""Whose key makes the patients' pseudonyms; no client can have this name."""
IMAGES: ClientId = "-images"
"""Whose key makes the images' fingerprints (see `data.prints`)."""


class Keyring:
    """The keys of a run folder's clients.

    Args:
        path: The run folder.
        ledger: Its ledger.
    """

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._path = path
        self._ledger = ledger
        self._held: dict[str, Key] = {}

    @property
    def files(self) -> Keys:
        """The key files."""
        return keys_of(self._path, self._ledger.run_id)

    @property
    def places(self) -> list[Keys]:
        """Every folder that may hold keys of the run: that of new ones first, then the others that the ledger names."""
        # By what the paths lead to: one folder under two names is looked into once.
        folders = {keys.folder.resolve(): keys for keys in (self.files, Keys(self._path / "keys"))}
        for event in self._ledger.events("keys"):
            keys = self._keys_in(event.body["place"])
            folders.setdefault(keys.folder.resolve(), keys)
        return list(folders.values())

    def _keys_in(self, place: str) -> Keys:
        if place == IN_THE_RUN:
            return Keys(self._path / "keys")
        folder = Path(place)
        # Keys are destroyed where the ledger says that they lie, so a ledger must not lead into another run's folder.
        if not folder.is_absolute() or folder.name != self._ledger.run_id:
            raise IntegrityError(
                f"{self._ledger.path}: says that keys lie in {place}, which is no folder for this run's"
            )
        return Keys(folder)

    @property
    def apart(self) -> bool:
        """Whether all of them lie outside the run folder, so that a copy of it does not hold them."""
        # Before there is a key, by where the first one will lie.
        folders = [keys.folder.resolve() for keys in self.places if keys.there()] or [self.files.folder.resolve()]
        return all(self._path.resolve() not in folder.parents for folder in folders)

    @property
    def made_inside(self) -> bool:
        """Whether the ledger says that keys were made in the run folder, wherever they lie now."""
        return any(event.body["place"] == IN_THE_RUN for event in self._ledger.events("keys"))

    def out_of_sight(self) -> list[Path]:
        """Folders that held keys, by the ledger, and cannot be looked into now."""
        named = {self._keys_in(event.body["place"]).folder for event in self._ledger.events("keys")}
        return sorted(folder for folder in named if not folder.is_dir())

    def living(self, client: ClientId) -> list[str]:
        """The ids of the client's keys that were made and not destroyed, the newest last.

        One that was said to be lost is among them where its file is there after all.
        """
        ids: dict[str, None] = {}
        for event in self._ledger.events("key"):
            if event.body["client"] == client and event.body["what"] == MADE:
                ids[event.body["id"]] = None
            elif event.body["client"] == client and (
                event.body["what"] != LOST or self.missing(client, [event.body["id"]])
            ):
                ids.pop(event.body["id"], None)
        return list(ids)

    def destroyed(self) -> dict[ClientId, list[str]]:
        """Client to the ids of the keys that the ledger says are destroyed, or are to be."""
        return self._said((DESTROYED,))

    def newest(self, client: ClientId) -> str | None:
        """The id of the client's key that was made last, whatever became of it; None where none was."""
        made = [event.body["id"] for event in self._ledger.events("key")
                if (event.body["client"], event.body["what"]) == (client, MADE)]  # fmt: skip
        return made[-1] if made else None

    def lost(self) -> dict[ClientId, list[str]]:
        """Client to the ids of the keys that were said to be lost, and are not destroyed yet."""
        gone = self.destroyed()
        return {
            client: [id for id in ids if id not in gone.get(client, [])] for client, ids in self._said((LOST,)).items()
        }

    def confirmed(self, *what: str) -> dict[ClientId, list[str]]:
        """Client to the ids of the keys of which the ledger says so: OVERWRITTEN, GONE or LOST."""
        return self._said(what)

    def _said(self, what: Sequence[str]) -> dict[ClientId, list[str]]:
        found: dict[ClientId, list[str]] = {}
        for event in self._ledger.events("key"):
            if event.body["what"] in what:
                found.setdefault(event.body["client"], []).append(event.body["id"])
        return found

    def seal(self, client: ClientId | None, name: str) -> Seal | None:
        """What a file is to be sealed with: the client's newest key, or a new one; None for what is not to be sealed.

        Args:
            client: Whose the file is; None if it is the federation's.
            name: Of the file in the run folder; its ending says whether it is to be sealed.

        Raises:
            FedletheError: The key file is missing or cannot be made.
        """
        if client is None or not is_sealed(name):
            return None
        # The newest: once patients of the client are erased, the ones before it are destroyed with what they sealed.
        if living := self.living(client):
            return Seal(self._key(client, living[-1]), name)
        return Seal(self.renewed(client), name)

    def renewed(self, client: ClientId, key: Key | None = None) -> Key:
        """A new key of a client, or the one that is given, which seals what comes from now on."""
        key, here = self.files.create(client, key), self.files.folder
        place = IN_THE_RUN if here == self._path / "keys" else str(here.resolve())
        known = any(event.body["place"] == place for event in self._ledger.events("keys"))
        # The file came first: a key that the ledger names and that is nowhere would stop every later command.
        row = ("key", {"client": client, "id": key.id, "what": MADE})
        self._ledger.append([row] if known else [("keys", {"place": place}), row])
        self._held[key.id] = key
        return key

    def opens(self, artefact: Artefact) -> Seal | None:
        """What opens a file; None for one that is not sealed.

        Raises:
            FedletheError: The file or its key is missing or damaged.
        """
        if artefact.client is None or not is_sealed(artefact.path):
            return None
        path = self._path / artefact.path
        return Seal(self._key(artefact.client, key_id(checkpoint.read(path), path)), artefact.path)

    def pseudonym(self, client: ClientId, patient: str) -> str:
        """What stands for a patient where its name must not: HMAC-SHA-256 by a key of the run, 32 hexadecimal digits.

        With the key it can be told whether a name belongs to it; without, nothing can.
        """
        living = self.living(PATIENTS)
        key = self._key(PATIENTS, living[-1]) if living else self.renewed(PATIENTS)
        # As one JSON text: run together, the two names of one pair could read like those of another.
        return hmac.new(key.secret, canonical([client, patient]).encode(), "sha256").hexdigest()[:32]

    def mention(self, client: ClientId, patient: str) -> str:
        """The same of a name as it may stand in a text: in capitals or small letters."""
        return self.pseudonym(client, canonical(["in a text", folded(patient)]))

    def images(self) -> Key | None:
        """The key of the images' fingerprints; None where none was made yet.

        Raises:
            FedletheError: Its file is missing or damaged.
        """
        living = self.living(IMAGES)
        return self._key(IMAGES, living[-1]) if living else None

    def destroy(self, client: ClientId, ids: Sequence[str]) -> list[str]:
        """Destroy keys of a client that the ledger says are destroyed, wherever it says that keys lie.

        Returns:
            The ids of those whose file was there.
        """
        found = []
        for id in ids:
            # Wherever keys ever lay: FEDLETHE_KEYS may have been another, or unset, when this one was made.
            there = [keys for keys in self.places if keys.has(client, id)]
            for keys in there:
                keys.destroy(client, [id])
            if there:
                found.append(id)
            self._held.pop(id, None)
        return found

    def finish(self) -> None:
        """Destroy every key that the ledger says is to be, and enter of each client's whether it was there."""
        # Each is entered after its file is gone. A crash between the two leaves one that the next attempt enters as
        # GONE: what it cannot know, that it was overwritten, it does not say.
        settled = {id for ids in self.confirmed(OVERWRITTEN, GONE).values() for id in ids}
        for client, ids in self.destroyed().items():
            found = self.destroy(client, ids)
            # Of the run's own keys (masks, patients, images) no certificate tells, so nothing is entered.
            new = [id for id in ids if id not in settled and not client.startswith("-")]
            lost = self._said((LOST,)).get(client, [])
            rows = [
                {"client": client, "id": id, "what": OVERWRITTEN if id in found else GONE}
                for id in new
                if id in found or id not in lost
            ]
            if rows:
                self._ledger.append([("key", row) for row in rows])

    def demand(self, client: ClientId, ids: Sequence[str]) -> None:
        """Refuse to destroy keys of a client that are not there, or not what was made: they would live on elsewhere.

        Raises:
            FedletheError: A key file is missing, a link, has a second name, or is not the key that it should be.
        """
        for id in ids:
            for keys in [keys for keys in self.places if keys.has(client, id)] or [self.holder(client, id)]:
                try:
                    keys.read(client, id)
                except FedletheError as error:
                    raise IntegrityError(
                        f"{error}. It is to be destroyed, and nothing is signed or purged before it is found; if it is "
                        'lost for good, say so, and why: fedlethe erase, or purge, with --lost-keys "why"'
                    ) from None
                if (problem := keys.copied(client, id)) is not None:
                    raise IntegrityError(f"{problem}; remove the other name first")
                self._demand_no_copy(keys, client, id)

    def copies_of_destroyed(self, clients: Collection[ClientId] | None = None) -> Iterator[str]:
        """Each file in the run folder, or a folder of its keys, that is a destroyed key, whatever its name; in words.

        A key's id is a hash of the key, so a copy is known by what it holds.

        Args:
            clients: Whose keys; None for everybody's.
        """
        gone = {
            id: client for client, ids in self.destroyed().items() for id in ids if clients is None or client in clients
        }
        for folder in {self._path.resolve(), *(one.folder.resolve() for one in self.places)}:
            for path in sorted(folder.rglob("*")):
                if (id := id_of_file(path)) in gone:
                    yield f"{path}: is a key of {gone[id]} that was destroyed, under another name"

    def demand_gone(self, clients: Collection[ClientId]) -> None:
        """Refuse to go on where a destroyed key of these clients is there under another name.

        Raises:
            FedletheError: One is.
        """
        if problem := next(self.copies_of_destroyed(clients), None):
            raise IntegrityError(f"{problem}; remove it, and give the same command again: nothing is signed before")

    def _demand_no_copy(self, keys: Keys, client: ClientId, id: str) -> None:
        """Refuse where the run folder, or a folder of its keys, holds the key under another name."""
        content, own = keys.path(client, id).read_bytes(), {one.path(client, id).resolve() for one in self.places}
        for folder in {self._path.resolve(), *(one.folder.resolve() for one in self.places)}:
            for path in sorted(folder.rglob("*")):
                # By its bytes, whatever its name; by its size first, so that no model is read for it.
                alike = not path.is_symlink() and path.is_file() and path.stat().st_size == len(content)
                if alike and path.resolve() not in own and path.read_bytes() == content:
                    raise IntegrityError(
                        f"{path}: is a copy of a key of {client} that is to be destroyed; remove it first"
                    )

    def missing(self, client: ClientId, ids: Sequence[str]) -> list[str]:
        """Those of a client's keys that are in none of the folders that may hold them."""
        return [id for id in ids if not any(keys.has(client, id) for keys in self.places)]

    def clear_strays(self) -> None:
        """Destroy keys that the ledger does not know, or knows as destroyed.

        A kill leaves the former, which have sealed nothing yet, and the latter. What cannot be destroyed stays, and
        `ledger verify` names it.
        """
        with suppress(FedletheError):
            self.finish()
        for client, id in self.files.there():
            if id not in self.living(client):
                with suppress(FedletheError):
                    self.files.destroy(client, [id])

    def holder(self, client: ClientId, id: str) -> Keys:
        """The folder that has a key, or that should have it: the one set, else the last in the ledger."""
        named = [self._keys_in(event.body["place"]) for event in self._ledger.events("keys")]
        should = named[-1] if named and self.files.folder == self._path / "keys" else self.files
        return next((keys for keys in self.places if keys.has(client, id)), should)

    def _key(self, client: ClientId, id: str) -> Key:
        if id not in self._held:
            self._held[id] = self.holder(client, id).read(client, id)
        return self._held[id]


def folded(text: str) -> str:
    """A text in which letters that read the same are the same: capitals, full width, composed or not.

    Example:
        >>> folded("Kranker") == folded("ＫＲＡＮＫＥＲ"), folded("Ä") == folded("A\u0308")
        (True, True)
    """
    # Twice: folding can leave a letter and its accent apart that were one before.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def destroyed_with(events: Sequence[Event], purge: Event) -> dict[ClientId, list[str]]:
    """Client to the ids of its keys that one purge destroyed: the ledger was told of them just before it.

    Args:
        events: The ledger's rows about keys and purges, in their order.
        purge: The purge's row, one of them.
    """
    found: dict[ClientId, list[str]] = {}
    for event in events:
        if event.seq == purge.seq:
            break
        if event.kind == "purge":
            found = {}
        elif event.body["what"] == DESTROYED:
            found.setdefault(event.body["client"], []).append(event.body["id"])
    return found


def destruction(client: ClientId, ids: Sequence[str]) -> list[tuple[str, Body]]:
    """The ledger's rows that say that keys of a client are destroyed."""
    return [("key", {"client": client, "id": id, "what": DESTROYED}) for id in ids]
