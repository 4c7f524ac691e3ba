# SPDX-License-Identifier: MIT
"""Which key seals what is kept of a client: made when it is first needed, entered in the ledger, destroyed for good."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fedlethe import checkpoint
from fedlethe.errors import FedletheError
from fedlethe.history.chain import Body, canonical
from fedlethe.history.ledger import Artefact, Ledger
from fedlethe.sealing import SEALED, Key, Keys, Seal, key_id, keys_of
from fedlethe.types import ClientId

MADE, DESTROYED = "made", "destroyed"
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
    def apart(self) -> bool:
        """Whether they lie outside the run folder, so that a copy of it does not hold them."""
        return self._path.resolve() not in self.files.folder.resolve().parents

    def living(self, client: ClientId) -> list[str]:
        """The ids of the client's keys that were made and not destroyed, the newest last."""
        ids: dict[str, None] = {}
        for event in self._ledger.events("key"):
            if event.body["client"] == client and event.body["what"] == MADE:
                ids[event.body["id"]] = None
            elif event.body["client"] == client:
                ids.pop(event.body["id"], None)
        return list(ids)

    def destroyed(self) -> dict[ClientId, list[str]]:
        """Client to the ids of the keys that the ledger says are destroyed."""
        found: dict[ClientId, list[str]] = {}
        for event in self._ledger.events("key"):
            if event.body["what"] == DESTROYED:
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
        if client is None or not name.endswith(SEALED):
            return None
        if living := self.living(client):
            return Seal(self._key(client, living[-1]), name)
        return Seal(self.renewed(client), name)

    def renewed(self, client: ClientId, key: Key | None = None) -> Key:
        """A new key of a client, or the one that is given, which seals what comes from now on."""
        key = self.files.create(client, key)
        self._ledger.append([("key", {"client": client, "id": key.id, "what": MADE})])
        self._held[key.id] = key
        return key

    def opens(self, artefact: Artefact) -> Seal | None:
        """What opens a file; None for one that is not sealed.

        Raises:
            FedletheError: The file or its key is missing or damaged.
        """
        if artefact.client is None or not artefact.path.endswith(SEALED):
            return None
        path = self._path / artefact.path
        return Seal(self._key(artefact.client, key_id(checkpoint.read(path), path)), artefact.path)

    def pseudonym(self, client: ClientId, patient: str) -> str:
        """What stands for a patient where its name must not: HMAC-SHA-256 by a key of the run, 32 hexadecimal digits.

        With the key it can be told whether a name belongs to it; without, nothing can.
        """
        living = self.living(PATIENTS)
        key = self._key(PATIENTS, living[-1]) if living else self.renewed(PATIENTS)
        return hmac.new(key.secret, canonical([client, patient]).encode(), "sha256").hexdigest()[:32]

    def images(self) -> Key | None:
        """The key of the images' fingerprints; None where none was made yet.

        Raises:
            FedletheError: Its file is missing or damaged.
        """
        living = self.living(IMAGES)
        return self._key(IMAGES, living[-1]) if living else None

    def destroy(self, client: ClientId, ids: Sequence[str]) -> None:
        """Destroy keys of a client that the ledger says are destroyed (see `destruction`)."""
        self.files.destroy(client, ids)
        for id in ids:
            self._held.pop(id, None)

    def demand(self, client: ClientId, ids: Sequence[str]) -> None:
        """Refuse to destroy keys of a client that are not there, or not what was made: they would live on elsewhere.

        Raises:
            FedletheError: A key file is missing, a link, has a second name, or is not the key that it should be.
        """
        for id in ids:
            self.files.read(client, id)
            if (problem := self.files.copied(client, id)) is not None:
                raise FedletheError(f"{problem}; remove the other name first")

    def clear_strays(self) -> None:
        """Destroy keys that the ledger does not know, or knows as destroyed.

        A kill leaves the former, which have sealed nothing yet, and the latter. What cannot be destroyed stays, and
        `ledger verify` names it.
        """
        for client, id in self.files.there():
            if id not in self.living(client):
                with suppress(FedletheError):
                    self.files.destroy(client, [id])

    def _key(self, client: ClientId, id: str) -> Key:
        if id not in self._held:
            self._held[id] = self.files.read(client, id)
        return self._held[id]


def destruction(client: ClientId, ids: Sequence[str]) -> list[tuple[str, Body]]:
    """The ledger's rows that say that keys of a client are destroyed."""
    return [("key", {"client": client, "id": id, "what": DESTROYED}) for id in ids]
