# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.history import checkpoint
from fedlethe.history.sealing import PIECE, START, Key, Keys, Seal, sealed, unsealed
from fedlethe.vector import Layout

KEY = Key(bytes(range(32)))
SEAL = Seal(KEY, "influence/a/round_0001.sealed")
NOWHERE = Path("file.sealed")
LAYOUT = Layout({"w": (300_000,)})


def _content(*parts: bytes, seal: Seal = SEAL) -> bytes:
    return b"".join(bytes(piece) for piece in sealed(seal, parts))


def _opened(content: bytes, seal: Seal = SEAL) -> bytes:
    return unsealed(seal, np.frombuffer(content, np.uint8), NOWHERE).tobytes()


def test_it_is_aes_gcm_as_the_standard_has_it() -> None:
    content = _content(b"what a client", b" sent")
    nonce, inner = content[16:28], content[28:]
    assert content[:16] == b"FEDLETHE" + bytes.fromhex(KEY.id)
    known = AESGCM(KEY.secret).decrypt(nonce, inner, content[:16] + b"influence/a/round_0001.sealed")
    assert known == b"what a client sent" == _opened(content)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, 2 * PIECE + 17])
def test_any_length_comes_back(size: int) -> None:
    parts = np.random.default_rng(0).bytes(100), np.random.default_rng(1).bytes(size)
    content = _content(*parts)
    assert len(content) == START + 100 + size + 16
    assert _opened(content) == b"".join(parts)


def test_the_same_twice_has_nothing_in_common() -> None:
    first, second = (_content(b"\0" * 4096)[START:] for _ in range(2))
    assert not {first[start : start + 16] for start in range(len(first))} & {
        second[start : start + 16] for start in range(len(second))
    }


@given(st.data())
def test_any_flipped_byte_is_found(data: st.DataObject) -> None:
    content = bytearray(_content(b"a client's influence"))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FedletheError, match=r"file\.sealed"):
        _opened(bytes(content))


def test_another_key_another_name_and_a_cut_are_refused() -> None:
    content = _content(b"a client's influence")
    for wrong in (Seal(Key(bytes(32)), SEAL.name), Seal(KEY, "influence/b/round_0001.sealed")):
        with pytest.raises(FedletheError, match="its key does not open it"):
            _opened(content, wrong)
    for cut in (content[:20], content[:-1]):
        with pytest.raises(FedletheError, match=r"sealed file|does not open"):
            _opened(cut)


def test_a_sealed_checkpoint(tmp_path: Path) -> None:
    vector = torch.randn(300_000, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "influence" / "round_0001.sealed"
    digest = checkpoint.save(path, vector, LAYOUT, SEAL)
    assert torch.equal(checkpoint.load(path, LAYOUT, digest, SEAL), vector)
    assert vector.numpy().tobytes()[:64] not in path.read_bytes()
    with pytest.raises(FedletheError, match="not those that the ledger names"):
        checkpoint.load(path, LAYOUT, "0" * 64, SEAL)


def test_a_key_file_is_its_owner_s_alone_and_comes_back(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    one, other = keys.create("a"), keys.create("a.b")
    assert one != other
    assert "secret" not in repr(one)
    (path,) = keys.files("a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    assert path.name == f"a.{one.id}.key"
    assert base64.b64decode(path.read_text()) == one.secret
    assert keys.read("a", one.id) == one


def test_a_key_that_is_destroyed_is_nowhere(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    key, newer = keys.create("a"), keys.create("a")
    (tmp_path / "held").hardlink_to(keys.folder / f"a.{key.id}.key")
    keys.destroy("a", [key.id])
    keys.destroy("a", [key.id])  # after a kill it is asked for again
    assert set((tmp_path / "held").read_bytes()) == {0}  # overwritten before it was removed
    assert keys.files("a") == [keys.folder / f"a.{newer.id}.key"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [("remove", "is missing"), ("open", "chmod 600"), ("swap", "another key"), ("text", "another key|as a key")],
)
def test_a_key_file_that_is_not_right_is_named(tmp_path: Path, damage: str, words: str) -> None:
    keys = Keys(tmp_path / "keys")
    key, other = keys.create("a"), keys.create("b")
    path = keys.folder / f"a.{key.id}.key"
    if damage == "remove":
        path.unlink()
    elif damage == "open":
        path.chmod(0o644)
    else:
        path.write_bytes(base64.b64encode(other.secret) if damage == "swap" else b"no key at all")
    with pytest.raises(FedletheError, match=words) as error:
        keys.read("a", key.id)
    assert str(path) in str(error.value)
