# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.requests.signing import SigningKey, new_key, opened, read_public_key, read_signing_key, signed

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WHERE = Path("certificate.json")
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1","subject":[]}'
CONTENT = signed(PAYLOAD, KEY)


def test_it_is_an_envelope_as_the_specification_has_it() -> None:
    envelope = json.loads(CONTENT)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(envelope["payload"]) == PAYLOAD
    ((entry),) = envelope["signatures"]
    encoded = f"DSSEv1 28 application/vnd.in-toto+json {len(PAYLOAD)} ".encode() + PAYLOAD
    KEY.public.key.verify(base64.b64decode(entry["sig"]), encoded)
    assert opened(CONTENT, KEY.public, WHERE) == PAYLOAD
    assert signed(PAYLOAD, KEY) == CONTENT


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FedletheError, match=r"certificate\.json"):
        opened(bytes(content), KEY.public, WHERE)


def test_every_single_byte_of_what_is_not_signed_counts() -> None:
    for place in range(len(CONTENT)):
        for changed in (CONTENT[:place] + b" " + CONTENT[place:], CONTENT[:place] + CONTENT[place + 1 :]):
            if changed != CONTENT:
                with pytest.raises(FedletheError):
                    opened(changed, KEY.public, WHERE)


def test_two_spellings_of_the_same_base64_are_not_the_same_certificate() -> None:
    envelope = json.loads(CONTENT)
    envelope["signatures"][0]["sig"] = envelope["signatures"][0]["sig"][:-3] + "x=="
    spelt = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(FedletheError):
        opened(spelt, KEY.public, WHERE)


def test_another_key_does_not_do() -> None:
    other = SigningKey(Ed25519PrivateKey.generate())
    with pytest.raises(FedletheError, match="signed by another key"):
        opened(CONTENT, other.public, WHERE)
    forged = json.loads(signed(PAYLOAD, other))
    forged["signatures"][0]["keyid"] = KEY.public.id
    with pytest.raises(FedletheError, match="signature is not valid"):
        opened(json.dumps(forged, sort_keys=True, separators=(",", ":")).encode() + b"\n", KEY.public, WHERE)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, CONTENT[:-10], b"null"])
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(FedletheError, match="no signed certificate"):
        opened(content, KEY.public, WHERE)


def test_a_new_key_is_its_owner_s_alone_and_any_tool_reads_it(tmp_path: Path) -> None:
    key = new_key(tmp_path / "erasure.key")
    assert stat.S_IMODE((tmp_path / "erasure.key").stat().st_mode) == 0o600
    theirs = serialization.load_pem_private_key((tmp_path / "erasure.key").read_bytes(), None)
    assert isinstance(theirs, Ed25519PrivateKey)
    assert read_signing_key(tmp_path / "erasure.key").public.id == key.public.id
    assert read_public_key(tmp_path / "erasure.key.pub").id == key.public.id
    with pytest.raises(FedletheError, match="never overwritten"):
        new_key(tmp_path / "erasure.key")


def test_key_files_that_do_not_do_are_named(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    pem = serialization.Encoding.PEM
    (tmp_path / "elliptic").write_bytes(
        generate_private_key(SECP256R1()).private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (tmp_path / "elliptic").chmod(0o600)
    (tmp_path / "open").write_bytes((tmp_path / "key").read_bytes())
    (tmp_path / "open").chmod(0o644)
    for name, words in (("none", "cannot be read"), ("elliptic", "no Ed25519 signing key"), ("open", "chmod 600")):
        with pytest.raises(FedletheError, match=words) as error:
            read_signing_key(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    for name, words in (("none", "cannot be read"), ("key", "no Ed25519 public key")):
        with pytest.raises(FedletheError, match=words):
            read_public_key(tmp_path / name)
