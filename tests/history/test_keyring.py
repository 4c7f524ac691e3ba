# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.train import train
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import destruction
from fedlethe.types import ClientId, Need
from tests.fakes import LAYOUT, linear_federation

CLIENTS: tuple[ClientId, ...] = ("a", "b", "c")
KEEP = frozenset({Need.INITIAL, Need.INFLUENCE, Need.NORMS})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path, CLIENTS, KEEP, create=True)
    folder.begin(torch.zeros(3), LAYOUT)
    for record in train(linear_federation(), folder.final(), [(1, ("a", "b"))]):
        folder.append(record, "{}")
    yield folder
    folder.close()


def test_who_takes_part_has_a_key_and_all_of_a_client_is_sealed_with_it(folder: RunFolder) -> None:
    assert [len(folder.store.keys.living(client)) for client in CLIENTS] == [1, 1, 0]
    assert sorted(path.name for path in (folder.path / "keys").iterdir()) == sorted(
        f"{client}.{folder.store.keys.living(client)[0]}.key" for client in "ab"
    )
    for artefact in folder.ledger.artefacts().values():
        assert artefact.path.endswith(".sealed") == (artefact.client is not None)
        seal = folder.store.keys.opens(artefact)
        assert (seal is None) == (artefact.client is None)
        assert seal is None or seal.key.id in folder.store.keys.living(artefact.client or "")


def test_without_its_key_a_client_cannot_be_read_and_the_others_can(folder: RunFolder) -> None:
    again = RunFolder(folder.path, CLIENTS, KEEP)
    (id,) = again.store.keys.living("a")
    (folder.path / "keys" / f"a.{id}.key").unlink()
    with pytest.raises(FedletheError, match=f"a.{id}.key: this key of a is missing"):
        again.influence("a")
    assert torch.equal(again.influence("b"), folder.influence("b"))
    # Nor is a new key made in its place: what the old one sealed would be lost unseen.
    with pytest.raises(FedletheError, match="is missing"):
        again.append(next(train(linear_federation(), again.final(), [(2, ("a",))])), "{}")
    again.close()


def test_a_destroyed_key_is_followed_by_a_new_one(folder: RunFolder) -> None:
    (old,) = folder.store.keys.living("b")
    folder.ledger.append(destruction("b", [old]))
    folder.store.keys.destroy("b", [old])
    assert folder.store.keys.living("b") == []
    with pytest.raises(FedletheError, match="is missing"):
        folder.influence("b")
    artefact = folder.store.save("influence", "influence/b/again", "b", torch.ones(3), LAYOUT)
    (new,) = folder.store.keys.living("b")
    assert new != old
    assert artefact.path == "influence/b/again.sealed"
    seal = folder.store.keys.opens(artefact)
    assert seal is not None
    assert seal.key.id == new


def test_the_environment_says_where_the_keys_are(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not folder.store.keys.apart
    elsewhere = tmp_path_factory.mktemp("vault")
    monkeypatch.setenv("FEDLETHE_KEYS", str(elsewhere))
    assert folder.store.keys.files.folder == elsewhere / folder.ledger.run_id
    assert not folder.store.keys.apart  # new keys will be; those that were made lie in the run folder still
    again = RunFolder(folder.path, CLIENTS, KEEP)
    assert torch.equal(again.influence("a"), folder.influence("a"))  # the ledger says where
    again.close()
    (folder.path / "keys").rename(elsewhere / folder.ledger.run_id)
    assert folder.store.keys.apart
    again = RunFolder(folder.path, CLIENTS, KEEP)
    assert torch.equal(again.influence("a"), folder.influence("a"))
    again.close()
    (elsewhere / folder.ledger.run_id).rename(elsewhere / "moved")
    again = RunFolder(folder.path, CLIENTS, KEEP)
    with pytest.raises(FedletheError, match=f"{elsewhere}.*FEDLETHE_KEYS"):
        again.influence("a")
    again.close()


def test_a_missing_key_is_looked_for_where_the_ledger_says_that_keys_lie(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    folder.store.keys.renewed("a")
    monkeypatch.delenv("FEDLETHE_KEYS")
    (path,) = (tmp_path / "vault" / folder.ledger.run_id).iterdir()
    path.unlink()
    with pytest.raises(FedletheError, match=f"^{path}: this key of a is missing"):
        folder.store.keys.demand("a", folder.store.keys.living("a"))


def test_a_ledger_that_names_a_folder_of_others_for_keys_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    folder.ledger.append([("keys", {"place": str(tmp_path)})])
    with pytest.raises(FedletheError, match="no folder for this run's"):
        folder.store.keys.destroy("a", folder.store.keys.living("a"))


def test_a_key_that_is_missing_changed_or_has_another_name_is_not_destroyed(folder: RunFolder, tmp_path: Path) -> None:
    (id,) = folder.store.keys.living("a")
    path = folder.path / "keys" / f"a.{id}.key"
    content = path.read_bytes()
    folder.store.keys.demand("a", [id])
    (folder.path / "copy").hardlink_to(path)
    with pytest.raises(FedletheError, match="2 names"):
        folder.store.keys.demand("a", [id])
    (folder.path / "copy").unlink()
    path.write_bytes(content + b"\n")
    with pytest.raises(FedletheError, match="holds another key"):
        folder.store.keys.demand("a", [id])
    path.rename(folder.path / "moved")
    with pytest.raises(FedletheError, match="missing"):
        folder.store.keys.demand("a", [id])
    path.symlink_to(folder.path / "moved")
    with pytest.raises(FedletheError, match="is a link"):
        folder.store.keys.demand("a", [id])
    with pytest.raises(FedletheError, match="cannot be"):
        folder.store.keys.files.destroy("a", [id])
    assert (folder.path / "moved").read_bytes() == content + b"\n"  # what a link leads to is not overwritten
