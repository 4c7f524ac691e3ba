# SPDX-License-Identifier: MIT
"""Signatures: Ed25519 (RFC 8032) over statements in DSSE envelopes, as in-toto attestations have them.

An envelope is the file {"payload": base64, "payloadType": ..., "signatures": [{"keyid": ..., "sig": base64}]}. What is
signed is the payload together with its type (https://github.com/secure-systems-lab/dsse, protocol 1.0.2); the envelope
itself is not, so it is taken in one form alone, byte for byte: a file in which any byte was changed is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fedlethe.errors import IntegrityError
from fedlethe.files import write_text, written_whole

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PUBLIC = ".pub"
"""Ends the name of the file that holds a signing key's public half."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks signatures."""

    key: Ed25519PublicKey

    @property
    def id(self) -> str:
        """SHA-256 of the raw key, hexadecimal."""
        raw = self.key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What makes signatures."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """Its public half."""
        return PublicKey(self.key.public_key())


def new_key(path: Path) -> SigningKey:
    """Make a signing key: the file `path`, readable by its owner alone, and `path`.pub for everybody.

    Raises:
        FedletheError: One of the files is there already, or cannot be written.
    """
    beside = public_path(path)
    if taken := next((place for place in (path, beside) if place.exists()), None):
        raise IntegrityError(f"{taken}: is there already; choose another file, a key is never overwritten")
    key = SigningKey(Ed25519PrivateKey.generate())
    pem = serialization.Encoding.PEM
    private = key.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with written_whole(path) as aside:
        # Its mode from the first byte on: between a write and a chmod others could read it.
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(private)
    public = key.public.key.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_text(beside, public.decode())
    return key


def public_path(path: Path) -> Path:
    """Where the public half of a signing key's file lies."""
    return path.with_name(path.name + PUBLIC)


def read_signing_key(path: Path) -> SigningKey:
    """Read what `new_key` wrote.

    Raises:
        FedletheError: The file is missing, readable by others, or no Ed25519 key without a passphrase.
    """
    content = _content(path, "make one with: fedlethe key new")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise IntegrityError(f"{path}: others than its owner can read this key; run: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, binascii.Error):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise IntegrityError(f"{path}: is no Ed25519 signing key; make one with: fedlethe key new")
    return SigningKey(key)


def read_public_key(path: Path) -> PublicKey:
    """Read the public half of a signing key.

    Raises:
        FedletheError: The file is missing, or no Ed25519 public key.
    """
    content = _content(path, "it is the file that ends in .pub")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, TypeError, binascii.Error):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise IntegrityError(f"{path}: is no Ed25519 public key; give the file that ends in .pub")
    return PublicKey(key)


def _content(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path}: the key cannot be read ({error.strerror or error}); {hint}") from None


def signed(payload: bytes, key: SigningKey) -> bytes:
    """The envelope of a payload, as a file has it."""
    signature = key.key.sign(_encoded(payload))
    return _envelope(payload, key.public, signature)


def opened(content: bytes, public: PublicKey, where: Path) -> bytes:
    """The payload of an envelope that this key signed.

    Args:
        content: The envelope's file, all of it.
        public: Whose signature it must bear.
        where: Names the file in messages.

    Raises:
        FedletheError: The file is no such envelope, was changed, or was signed by another key.
    """
    payload, signature, keyid = _parsed(content, where)
    # Before the signature: "another key" and "changed" call for different things to be done.
    if keyid != public.id:
        raise IntegrityError(f"{where}: was signed by another key ({keyid[:16]}..., not {public.id[:16]}...)")
    try:
        public.key.verify(signature, _encoded(payload))
    except InvalidSignature:
        raise IntegrityError(f"{where}: the signature is not valid; the file was changed") from None
    # The signature covers the payload alone; a changed byte of the envelope around it shows only here.
    if content != _envelope(payload, public, signature):
        raise IntegrityError(f"{where}: is not written as a certificate is; the file was changed")
    return payload


def unchecked(content: bytes, where: Path) -> bytes:
    """The payload of an envelope, whoever signed it.

    Raises:
        FedletheError: The file is no such envelope.
    """
    return _parsed(content, where)[0]


def key_id_of(content: bytes, where: Path) -> str:
    """The id of the key that an envelope says it was signed with.

    Raises:
        FedletheError: The file is no such envelope.
    """
    return _parsed(content, where)[2]


def _parsed(content: bytes, where: Path) -> tuple[bytes, bytes, str]:
    try:
        envelope = json.loads(content)
        (entry,) = envelope["signatures"]
        payload, signature = (base64.b64decode(text, validate=True) for text in (envelope["payload"], entry["sig"]))
        return payload, signature, str(entry["keyid"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(f"{where}: is no signed certificate, or was changed") from None


def _envelope(payload: bytes, public: PublicKey, signature: bytes) -> bytes:
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": public.id, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A signing key that was made: its files, and its id.

    Attributes:
        private: The file that signs, its owner's alone.
        public: The file for who checks certificates.
        id: SHA-256 of the public key, hexadecimal.
    """

    private: Path
    public: Path
    id: str


def signing_key(path: Path | None) -> SigningKey:
    """The key that signs certificates.

    Raises:
        FedletheError: None is named, or its file cannot be used.
    """
    if path is None:
        raise IntegrityError("key: a certificate has to be signed; make a key with: fedlethe key new erasure.key")
    return read_signing_key(path)


def new_signing_key(path: Path) -> NewKey:
    """Make a key that signs certificates; see `new_key`."""
    return NewKey(path, public_path(path), new_key(path).public.id)
