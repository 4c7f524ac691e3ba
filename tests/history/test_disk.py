# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.train import train
from fedlethe.history.chain import row_hash
from fedlethe.history.disk import RunFolder
from fedlethe.history.keyring import destruction
from fedlethe.types import EVERYTHING, Need, RoundRecord
from tests.fakes import LAYOUT, linear_federation, trained_history

CLIENTS = ("a", "b", "c")
SCHEDULE = [(1, ("a", "c")), (2, ("a", "b", "c")), (3, ("b",))]
INFLUENCE = frozenset({Need.INITIAL, Need.INFLUENCE})


def _recorded(path: Path, keep: frozenset[Need], encrypt: bool = False) -> RunFolder:
    path.mkdir()
    folder = RunFolder(path, CLIENTS, keep, create=True, encrypt=encrypt)
    folder.begin(torch.zeros(3), LAYOUT)
    for record in train(linear_federation(), folder.final(), SCHEDULE):
        folder.append(record, "{}")
    return folder


@pytest.fixture(params=["everything", "influence", "everything sealed", "influence sealed"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunFolder]:
    keep = EVERYTHING if request.param.startswith("everything") else INFLUENCE
    recorded = _recorded(tmp_path / "run", keep, encrypt=request.param.endswith("sealed"))
    yield recorded
    recorded.close()


def _files(folder: RunFolder) -> set[str]:
    """Everything but the ledger, the lock and the keys."""
    paths = (path.relative_to(folder.path) for path in folder.path.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if len(path.parts) > 1 and path.parts[0] != "keys"}


def test_it_gives_back_what_the_history_in_memory_does(folder: RunFolder) -> None:
    memory = trained_history(linear_federation(), SCHEDULE)
    assert folder.rounds == 3
    assert torch.equal(folder.initial(), memory.initial())
    assert torch.equal(folder.final(), memory.final())
    for client in CLIENTS:
        assert torch.equal(folder.influence(client), memory.influence(client))
    for round in (1, 2, 3):
        assert folder.weights(round) == memory.weights(round)
        assert folder.participants(round) == memory.participants(round)
    if folder.keep == EVERYTHING:
        assert torch.equal(folder.delta(2, "b"), memory.delta(2, "b"))
        assert torch.equal(folder.global_model(2), memory.global_model(2))


def test_the_influences_add_up_to_what_training_did(folder: RunFolder) -> None:
    total = folder.initial() + sum(folder.influence(client) for client in CLIENTS)
    torch.testing.assert_close(total, folder.final())


def test_it_keeps_what_is_needed_and_no_more(folder: RunFolder) -> None:
    end = ".sealed" if folder.store.encrypt else ".safetensors"
    influences = {f"influence/{client}/round_{last:04d}{end}" for client, last in (("a", 2), ("b", 3), ("c", 2))}
    ends = {f"global_checkpoints/round_{round:04d}.safetensors" for round in (0, 3)}
    if folder.keep == INFLUENCE:
        assert _files(folder) == influences | ends
    else:
        rounds = {f"global_checkpoints/round_{round:04d}.safetensors" for round in (1, 2)}
        deltas = {f"client_deltas/{c}/round_{r:04d}{end}" for r, held in SCHEDULE for c in held}
        norms = {f"norms/{c}/round_{r:04d}{end}" for r, held in SCHEDULE for c in held}
        norms = norms if folder.store.encrypt else {name.replace(".safetensors", ".json") for name in norms}
        assert _files(folder) == influences | ends | rounds | deltas | norms
    assert set(folder.ledger.artefacts()) == _files(folder)
    replaced = {name for name, gone in folder.ledger.tombstones().items() if gone.because == "replaced by a later one"}
    assert f"influence/a/round_0001{end}" in replaced
    assert not replaced & _files(folder)


def test_what_is_not_kept_is_named(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", INFLUENCE)
    by_method = "again and name the method that needs it, or keep everything"
    with pytest.raises(FedletheError, match=by_method):
        folder.delta(1, "a")
    with pytest.raises(FedletheError, match=by_method):
        folder.global_model(1)
    with pytest.raises(FedletheError, match="again and keep everything"):  # no method's name would mend it for sure
        next(iter(folder.replay()))
    folder.close()


def test_the_rounds_are_rebuilt_bit_for_bit(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", EVERYTHING)
    rebuilt = list(folder.replay())
    assert [record.round for record in rebuilt] == [1, 2, 3]
    for record in rebuilt:
        assert torch.equal(record.after, folder.global_model(record.round))
    folder.close()


@pytest.mark.parametrize("name", ["global_checkpoints/round_0003", "influence/a/round_0002"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_file_that_does_not_match_the_ledger_is_named(tmp_path: Path, name: str, damage: str) -> None:
    folder = _recorded(tmp_path / "run", INFLUENCE)
    path = folder.path / f"{name}.safetensors"
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-4] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FedletheError, match=name):
        folder.verify()
    with pytest.raises(FedletheError, match=name):
        _ = folder.final() if name.startswith("global") else folder.influence("a")
    folder.close()


def test_what_the_ledger_does_not_name_is_cleared_away_before_writing(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", EVERYTHING)
    named = _files(folder)
    strays = ["influence/a/round_0004.safetensors", "client_deltas/b/round_0004.sealed.99.part"]
    strays.append("norms/b/round_0004.json")
    for stray in strays:
        (folder.path / stray).write_bytes(b"half")
    with folder.locked():
        assert _files(folder) == named
        assert not list(folder.path.rglob("*.part"))
    folder.close()


def test_keys_that_the_ledger_does_not_know_are_destroyed_before_writing(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", INFLUENCE, encrypt=True)
    keys = folder.store.keys
    held = {client: keys.living(client) for client in CLIENTS}
    made_before_a_kill = keys.files.create("a").id
    destroyed = keys.renewed("b").id
    folder.ledger.append(destruction("b", [destroyed]))  # and killed before it was done
    with folder.locked():
        there = [id for _, id in keys.files.there()]
        assert sorted(there) == sorted(id for ids in held.values() for id in ids)
        assert not {made_before_a_kill, destroyed} & set(there)
    folder.close()


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", INFLUENCE)
    program = (
        "import sys, pathlib\nfrom fedlethe.history.disk import RunFolder\n"
        "folder = RunFolder(pathlib.Path(sys.argv[1]), ['a'], frozenset())\n"
        "with folder.locked(): pass\n"
    )
    with folder.locked():
        second = subprocess.run(
            [sys.executable, "-c", program, str(folder.path)], capture_output=True, text=True, check=False
        )
    assert f"process {os.getpid()} is at work on it" in second.stderr
    folder.close()


def test_a_ledger_that_is_missing_or_no_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match=r"ledger\.db: the ledger is missing"):
        RunFolder(tmp_path, CLIENTS, INFLUENCE)
    (tmp_path / "ledger.db").write_bytes(b"not a database, but long enough to be taken for one " * 100)
    with pytest.raises(FedletheError, match=r"ledger\.db: the ledger cannot be used"):
        RunFolder(tmp_path, CLIENTS, INFLUENCE)


def test_a_round_is_in_the_ledger_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _recorded(tmp_path / "run", INFLUENCE)
    before = folder.ledger.artefacts()
    (record,) = train(linear_federation(), folder.final(), [(4, ("a",))])
    hashed = iter(range(3))

    def broken(*arguments: object) -> str:
        if next(hashed, None) is None:
            raise KeyboardInterrupt
        return row_hash(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.history.chain.row_hash", broken)
        with pytest.raises(KeyboardInterrupt):
            folder.append(record, "{}")
    assert folder.rounds == 3
    assert folder.ledger.artefacts() == before
    folder.verify()
    folder.close()


@pytest.mark.parametrize("name", ["A", "../b", "x" * 101, "b."])
def test_a_round_of_a_client_that_cannot_have_a_folder_writes_nothing(name: str, tmp_path: Path) -> None:
    """Of a recording, whose clients are not known before they answer; `a` is one of the others."""
    folder = _recorded(tmp_path / "run", EVERYTHING)
    (record, *_) = train(linear_federation(), folder.final(), SCHEDULE)
    before, head = _files(folder), folder.ledger.head()
    round = folder.rounds + 1
    refused = RoundRecord(round, record.before, record.after, record.updates, record.weights, {name: "x"}, 0.0)
    with pytest.raises(FedletheError, match="client") as error:
        folder.append(refused, "{}")
    assert len(str(error.value)) < 250
    assert (_files(folder), folder.ledger.head()) == (before, head)
    folder.close()


def test_norms_and_first_deltas_are_kept_where_they_are_needed(tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", frozenset({Need.INITIAL, Need.NORMS, Need.FIRST_DELTAS}))
    memory = trained_history(linear_federation(), SCHEDULE)
    for round, held in SCHEDULE:
        for client in held:
            assert folder.norms(round, client) == pytest.approx(memory.norms(round, client))
    # a's first step is 2 in each of the three weights: one bias, two weights.
    assert folder.norms(1, "a") == pytest.approx({"bias": 2.0, "weight": 8**0.5})
    assert torch.equal(folder.delta(1, "a"), memory.delta(1, "a"))
    with pytest.raises(FedletheError, match="keep everything"):
        folder.delta(2, "a")
    with pytest.raises(FedletheError, match=r"norms/c/round_0003: the ledger does not name it"):
        folder.norms(3, "c")
    assert {name for name in _files(folder) if name.startswith("client")} == {
        "client_deltas/a/round_0001.safetensors",
        "client_deltas/c/round_0001.safetensors",
    }
    folder.close()
