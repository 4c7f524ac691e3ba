# SPDX-License-Identifier: MIT
"""Encryption at rest: a file that only a client's key opens, and the key files.

A sealed file is AES-256 in Galois counter mode (NIST SP 800-38D), with a nonce of its own drawn at random:

    FEDLETHE | key id, 8 bytes | nonce, 12 bytes | ciphertext, as long as what it holds | tag, 16 bytes

The name that the file has in its run is authenticated with it, so one sealed file cannot stand in for another. With a
key destroyed nothing opens what it sealed: neither the files in the run folder, nor copies of them anywhere else.

A key is 32 random bytes in a file of its own, CLIENT.KEYID.key, readable by its owner alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from fedlethe.errors import IntegrityError
from fedlethe.files import make_folder, sync_folder
from fedlethe.types import ClientId

SEALED = ".sealed"
"""Ends the name of a sealed file."""

MAGIC = b"FEDLETHE"
ID, NONCE, TAG, SECRET = 8, 12, 16, 32
START = len(MAGIC) + ID + NONCE
PIECE = 1 << 20
"""Bytes that are sealed at a time."""

Bytes = npt.NDArray[np.uint8]
_NAME = re.compile(rf"(?P<client>.+)\.(?P<id>[0-9a-f]{{{2 * ID}}})\.key")


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key: 32 bytes."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Names the key and gives nothing of it away: hexadecimal."""
        # Under a text of its own: a secret is hashed for other ends as well (`privacy.noise`), and the id is public.
        return hashlib.sha256(b"fedlethe key id" + self.secret).digest()[:ID].hex()


@dataclass(frozen=True, slots=True)
class Seal:
    """What a file is sealed with.

    Attributes:
        key: Opens it.
        name: Of the file in its run.
    """

    key: Key
    name: str


def sealed(seal: Seal, parts: Sequence[Any]) -> Iterator[memoryview]:
    """The bytes of a sealed file, piece by piece; a piece is overwritten when the next one is asked for.

    Args:
        seal: What opens it later.
        parts: What it holds: buffers, one after the other.
    """
    # A nonce for each file: two files under one key and one nonce give away how their contents differ.
    head = MAGIC + bytes.fromhex(seal.key.id) + secrets.token_bytes(NONCE)
    yield memoryview(head)
    encryptor = Cipher(AES(seal.key.secret), GCM(head[-NONCE:])).encryptor()
    # The name is sealed with the content, so that one file of a client cannot be put in the place of another.
    encryptor.authenticate_additional_data(_authenticated(head, seal.name))
    # One buffer for all pieces, so that a model is not held in memory a second time.
    space = memoryview(bytearray(PIECE))
    for part in parts:
        content = memoryview(part).cast("B")
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            yield space[: encryptor.update_into(piece, space)]
    encryptor.finalize()
    yield memoryview(encryptor.tag)


def key_id(content: Bytes, path: Path) -> str:
    """The id of the key that sealed a file.

    Raises:
        FedletheError: It is no sealed file.
    """
    # Even an empty file has a head and a tag: what is shorter was cut off.
    if len(content) < START + TAG or content[: len(MAGIC)].tobytes() != MAGIC:
        raise IntegrityError(f"{path}: is not a whole sealed file; restore this file from a backup")
    return content[len(MAGIC) : START - NONCE].tobytes().hex()


def unsealed(seal: Seal, content: Bytes, path: Path) -> Bytes:
    """What a sealed file holds; nothing of it is handed out before all of it is found to be authentic.

    Args:
        seal: What it was sealed with.
        content: All of the file's bytes.
        path: Names the file in messages.

    Raises:
        FedletheError: It is no sealed file, was changed, is another file, or was sealed by another key.
    """
    key_id(content, path)
    head, inner = content[:START].tobytes(), content[START:-TAG]
    decryptor = Cipher(AES(seal.key.secret), GCM(head[-NONCE:], content[-TAG:].tobytes())).decryptor()
    decryptor.authenticate_additional_data(_authenticated(head, seal.name))
    # All of it before the tag is checked, and none of it to the caller: what is not authentic is never looked at.
    opened = np.empty(len(inner), np.uint8)
    for start in range(0, len(inner), PIECE):
        piece = inner[start : start + PIECE]
        decryptor.update_into(piece.data, opened[start : start + PIECE].data)
    try:
        decryptor.finalize()
    except InvalidTag:
        raise IntegrityError(f"{path}: its key does not open it; put the right key file in its place") from None
    return opened


def _authenticated(head: bytes, name: str) -> bytes:
    return head[: START - NONCE] + name.encode()


def _text(key: Key) -> bytes:
    return base64.b64encode(key.secret) + b"\n"


class Keys:
    """The key files of a run.

    Args:
        folder: Holds them; it is made, readable by its owner alone, with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, client: ClientId, key: Key | None = None) -> Key:
        """Make a key of a client; it is on disk when this returns.

        Args:
            client: Whose.
            key: The key, where it is known already; None for a new one.

        Raises:
            FedletheError: The folder cannot be written.
        """
        key = Key(secrets.token_bytes(SECRET)) if key is None else key
        path = self.path(client, key.id)
        try:
            make_folder(self.folder)
            # O_EXCL: no file or link that lies there is written through; the mode is right from the first byte on.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(_text(key))
                file.flush()
                os.fsync(descriptor)
            sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            reason = error.strerror or error
            raise IntegrityError(f"{path}: cannot be written ({reason}); make room or set FEDLETHE_KEYS") from None
        return key

    def read(self, client: ClientId, id: str) -> Key:
        """A client's key by its id.

        Raises:
            FedletheError: The key file is missing, readable by others, damaged, or holds another key.
        """
        path = self.path(client, id)
        try:
            if path.is_symlink():
                raise IntegrityError(f"{path}: is a link, and no key file; put the key file itself in its place")
            mode, content = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
            key = Key(base64.b64decode(content, validate=False))
        except FileNotFoundError:
            raise IntegrityError(
                f"{path}: this key of {client} is missing, so what it sealed cannot be read; put the file back, or set "
                "FEDLETHE_KEYS to the folder that holds it"
            ) from None
        except (OSError, binascii.Error) as error:
            raise IntegrityError(f"{path}: cannot be read as a key ({error}); put the right key file back") from None
        if mode & 0o077:
            raise IntegrityError(f"{path}: others than its owner can read this key; run: chmod 600 {path}")
        # As it was written, to the byte: base64 has several texts for one secret, and copies are known by their bytes.
        if len(key.secret) != SECRET or key.id != id or content != _text(key):
            raise IntegrityError(f"{path}: holds another key than its name says; put the right key file back")
        return key

    def files(self, client: ClientId) -> list[Path]:
        """All key files of a client that are there."""
        return [self.path(client, id) for one, id in self.there() if one == client]

    def there(self) -> list[tuple[ClientId, str]]:
        """Client and id of every key file that is there."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.glob("*.key"))
        return sorted((name["client"], name["id"]) for name in found if name is not None)

    def destroy(self, client: ClientId, ids: Iterable[str]) -> None:
        """Overwrite and remove keys of a client; those that are gone already are no matter.

        Whether they are there is asked before a purge condemns anything (see `Keyring.demand`).

        Edge cases:
            A drive that writes elsewhere than it is told to (flash, copy on write) may keep the old block for a while.

        Raises:
            FedletheError: A file cannot be removed.
        """
        for id in ids:
            path = self.path(client, id)
            try:
                # A link is not followed: what it leads to is not this run's to overwrite.
                with open(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
                    # Zeros first, and on the disk before the name goes: removing alone leaves the bytes there, and a
                    # file that has no name any more need not be written out at all.
                    file.write(b"\0" * path.stat().st_size)
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
                sync_folder(self.folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise IntegrityError(
                    f"{path}: this key must be destroyed and cannot be ({error.strerror or error}); make it writable"
                ) from None

    def has(self, client: ClientId, id: str) -> bool:
        """Whether something lies where a key's file would."""
        # A link that leads nowhere counts: it lies in the key's place, and `read` refuses it by its name.
        return os.path.lexists(self.path(client, id))

    def copied(self, client: ClientId, id: str) -> str | None:
        """That a key's file goes by another name, too, so that removing this one leaves it there; None if not."""
        path = self.path(client, id)
        names = path.lstat().st_nlink
        return f"{path}: this key has {names} names (hard links)" if names > 1 else None

    def path(self, client: ClientId, id: str) -> Path:
        """Where a key's file lies, or would."""
        return self.folder / f"{client}.{id}.key"


def id_of_file(path: Path) -> str | None:
    """The id of the key that a file holds, whatever its name; None of a file that holds none, and of a link."""
    # From 32 bare bytes to 64 hexadecimal digits and a line end: the forms that a copy may have.
    if path.is_symlink() or not path.is_file() or not SECRET <= path.stat().st_size <= 2 * SECRET + 2:
        return None
    content = path.read_bytes()
    for read in (bytes, base64.b64decode, lambda text: bytes.fromhex(text.decode())):
        with suppress(ValueError):  # binascii.Error and UnicodeDecodeError are ValueErrors
            if len(secret := read(content)) == SECRET:
                return Key(secret).id
    return None


def is_sealed(path: str) -> bool:
    """Whether a file is sealed, by its name's ending."""
    return path.endswith(SEALED)


def keys_of(run: Path, run_id: str) -> Keys:
    """The keys of a run: in $FEDLETHE_KEYS/RUN-ID where that is set, else in the folder `keys` of the run."""
    chosen = os.environ.get("FEDLETHE_KEYS")
    return Keys(Path(chosen).expanduser() / run_id if chosen else run / "keys")
