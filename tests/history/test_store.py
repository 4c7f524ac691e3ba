# SPDX-License-Identifier: MIT
"""The files of a run: sealed if they are a client's, found by their name, held against the ledger, never out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.history.entries import REPLACED, removals
from fedlethe.history.ledger import Ledger
from fedlethe.history.store import JSON, Store, of_round
from tests.fakes import LAYOUT

VECTOR = torch.tensor([1.0, 2.0, 3.0])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    ledger = Ledger(tmp_path / "ledger.db", create=True)
    yield Store(tmp_path, ledger, encrypt=True)
    ledger.close()


def entered(store: Store, name: str, client: str | None = None, content: bytes = b'{"value": 1}') -> str:
    """Write and enter a file of norms; its path."""
    made = store.write("norms", name, client, [content], 1, JSON)
    store.ledger.add_artefacts([made])
    return made.path


def test_the_name_of_a_round_s_file_says_what_it_is_and_whose() -> None:
    assert of_round("global checkpoint", 3) == "global_checkpoints/round_0003"
    assert of_round("client delta", 12, "north") == "client_deltas/north/round_0012"


def test_a_client_s_file_is_sealed_and_the_federation_s_is_not(store: Store) -> None:
    own, common = entered(store, "norms/a/x", "a"), entered(store, "norms/x")
    assert (own, common) == ("norms/a/x.sealed", "norms/x.json")
    assert b"value" not in (store.path / own).read_bytes()
    assert (store.path / common).read_bytes() == b'{"value": 1}'
    for name in ("norms/a/x", "norms/x"):
        assert store.holds(name)
        assert store.content(store.find(name)) == b'{"value": 1}'
    bare = Store(store.path, store.ledger, encrypt=False)
    assert bare.write("norms", "norms/b/x", "b", [b"12345678"], 1, JSON).path == "norms/b/x.json"


def test_a_vector_comes_back(store: Store) -> None:
    made = store.save("influence", "influence/a/round_0001", "a", VECTOR, LAYOUT, 1)
    store.ledger.add_artefacts([made])
    assert store.load(store.find("influence/a/round_0001"), LAYOUT).tolist() == VECTOR.tolist()
    assert (made.round, made.client, made.bytes) == (1, "a", (store.path / made.path).stat().st_size)


def test_what_is_gone_is_named_with_its_reason_and_what_never_was_too(store: Store) -> None:
    store.ledger.append(removals([entered(store, "norms/a/x", "a")], "erased by R0001"))
    with pytest.raises(FedletheError, match=r"x\.sealed: was removed on 20.*\(erased by R0001\); it cannot be had"):
        store.find("norms/a/x")
    with pytest.raises(FedletheError, match="norms/y: the ledger does not name it"):
        store.find("norms/y")
    assert not store.holds("norms/a/x")


@pytest.mark.parametrize("damage", ["other bytes", "missing", "link"])
def test_a_file_that_is_not_as_it_was_entered_is_named(store: Store, damage: str) -> None:
    path = store.path / entered(store, "norms/x")
    assert store.problem(store.find("norms/x")) is None
    if damage == "other bytes":
        path.write_bytes(b'{"value": 2}')
    else:
        path.rename(store.path / "aside")
    if damage == "link":
        path.symlink_to(store.path / "aside")
    words = {"other bytes": "bytes are not those", "missing": "is missing", "link": "is a link"}[damage]
    with pytest.raises(FedletheError, match=f"{words}.*; restore it from a backup"):
        store.demand("norms/x.json")
    assert [words in problem for problem in store.problems()] == [True]


def test_a_purged_file_that_is_there_again_is_a_problem_and_a_replaced_one_is_not(store: Store) -> None:
    purged, replaced = entered(store, "norms/a/x", "a"), entered(store, "norms/a/y", "a")
    store.ledger.append([*removals([purged], "erased"), *removals([replaced], REPLACED)])
    (problem,) = store.problems()
    assert problem.startswith(f"{store.path / purged}: is there, though it was removed")
    store.remove([purged])
    assert list(store.problems()) == []
    (store.path / purged).symlink_to("nowhere")  # a link that leads nowhere is there, too
    assert len(list(store.problems())) == 1


def test_strays_go_and_what_is_somebody_else_s_stays(store: Store) -> None:
    named = store.path / entered(store, "norms/x")
    names = ("norms/a/round_0009.sealed", "erasures/0001/model.safetensors", "audits/x.json")
    strays = [store.path / name for name in names]
    others = [store.path / name for name in ("norms/notes.txt", "mine.json", "report/page.json")]
    for path in (*strays, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    store.clear_strays()
    assert [path.exists() for path in strays] == [False] * 3
    assert all(path.exists() for path in (named, *others))


def test_empty_folders_go_and_full_ones_stay(store: Store) -> None:
    entered(store, "norms/b/x", "b")
    (store.path / "norms/a/deeper").mkdir(parents=True)
    (store.path / "report").mkdir()
    store.prune()
    assert sorted(path.name for path in (store.path / "norms").iterdir()) == ["b"]
    assert (store.path / "report").is_dir()  # none of the run's own


def test_a_folder_that_is_a_link_is_not_written_through(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.path / "norms").mkdir()
    (store.path / "norms/a").symlink_to(outside)
    with pytest.raises(FedletheError, match="norms/a: is a link out of the run folder"):
        store.write("norms", "norms/a/x", "a", [b"12345678"])
    with pytest.raises(FedletheError, match="norms/a: is a link out of the run folder"):
        store.demand_no_links()
    with pytest.raises(FedletheError, match="norms/a: is a link out of the run folder"):
        store.remove(["norms/a/x"])
    assert list(outside.iterdir()) == []
