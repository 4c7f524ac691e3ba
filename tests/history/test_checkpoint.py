# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from fedlethe.errors import FedletheError
from fedlethe.history import checkpoint
from fedlethe.vector import Layout

LAYOUT = Layout({"a.weight": (2, 3), "b": (), "z.bias": (5,)})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model.safetensors", torch.arange(12.0), LAYOUT)
    return tmp_path / "model.safetensors"


def test_the_file_is_what_safetensors_itself_writes(saved: Path, tmp_path: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in LAYOUT.tensors(torch.arange(12.0)).items()}
    safetensors.torch.save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    assert saved.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_it_comes_back_and_its_hash_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.safetensors"
    digest = checkpoint.save(path, torch.arange(12.0), LAYOUT)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(checkpoint.load(path, LAYOUT, digest), torch.arange(12.0))
    assert checkpoint.layout_of(path) == LAYOUT
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_writing_to_what_was_read_never_changes_the_file(saved: Path) -> None:
    before = saved.read_bytes()
    checkpoint.load(saved, LAYOUT).zero_()
    assert saved.read_bytes() == before


def test_any_pytorch_user_can_load_it_strictly(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    layout = Layout.of(network)
    checkpoint.save(tmp_path / "m", torch.arange(float(layout.size)), layout)
    network.load_state_dict(safetensors.torch.load_file(tmp_path / "m"))


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_a_file_cut_short_is_named(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(FedletheError, match=r"model\.safetensors: is (cut short|not a whole)"):
        checkpoint.load(saved, LAYOUT)


@pytest.mark.parametrize("position", [3, 20, 100, -1])
def test_a_flipped_bit_is_found_by_the_hash(saved: Path, position: int) -> None:
    content = bytearray(saved.read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    content[position] ^= 1
    saved.write_bytes(bytes(content))
    with pytest.raises(FedletheError, match="ledger names"):
        checkpoint.load(saved, LAYOUT, digest)


def test_a_pickle_is_refused_for_what_it_is(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pth")
    with pytest.raises(FedletheError, match=r"model\.pth: is a pickle"):
        checkpoint.load(tmp_path / "model.pth", LAYOUT)


def test_another_model_is_named(saved: Path) -> None:
    with pytest.raises(FedletheError, match=r"another model: it lacks 'c'"):
        checkpoint.load(saved, Layout({**LAYOUT.shapes, "c": (1,)}))


def test_half_precision_is_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(2, dtype=torch.float16)}, tmp_path / "half")
    with pytest.raises(FedletheError, match="'a' is not float32"):
        checkpoint.load(tmp_path / "half", Layout({"a": (2,)}))
