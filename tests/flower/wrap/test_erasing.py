# SPDX-License-Identifier: MIT
"""An erasure from the record of an app of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.flower import Erasing, Recording
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.requests import superlink_state
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.lineage import held_by, up_to
from tests.flower.wrap.halfway import grid, initial, plain, weight
from tests.requests.traces import kept_of


def test_erasing_from_the_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=2)
    erasing = Erasing(run=run, forget=["b"], options={"scale": 0.5})
    arrays = erasing.arrays()
    assert weight(arrays) == 0.75 - 0.5 * 1.9375
    assert int(arrays["steps"].numpy()) == 2  # a counter is nobody's
    asked: list[str] = []

    def seen(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        asked.append(client)
        return arrays

    retained = erasing.grid(grid(seen))
    result = plain().start(retained, initial_arrays=arrays, num_rounds=1)
    model = erasing.enter(result.arrays, retained)
    assert sorted(asked) == ["a", "c"]
    record = json.loads((model.parent / "nodes.json").read_text())
    assert record["forgotten"] == ["b"]
    assert record["messages"] == {"a": {"evaluate": 1, "train": 1}, "b": {}, "c": {"evaluate": 1, "train": 1}}
    assert record["identities"]["b"] == {"kind": "client-uid", "key": None}
    with Recorded.of(run).opened() as history:
        assert float(history.erased_model("0001")[0]) == weight(result.arrays)
        history.verify()
    assert verify_ledger(run).failed == ()
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert [check.what for check in verify_ledger(run).failed] == ["files"]


def test_what_is_kept_of_who_was_erased_is_purged_and_the_next_is_erased_from_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=2)
    with Recorded.of(run).opened() as history:
        kept = kept_of(history, "b")
        theirs = {client: history.influence(client) for client in "abc"}
    erasing = Erasing(run=run, forget=["b"], options={"scale": 0.5})
    with pytest.raises(FedletheError, match="enter the erasure of b first"):
        erasing.purge()
    erasing.enter(erasing.arrays(), erasing.grid(grid()))
    erasing.purge()
    erasing.purge()  # as after a kill
    assert kept
    assert sorted(path.name for path in (run / "global_checkpoints").iterdir()) == ["round_0000.safetensors"]
    assert {path.parts[-2] for path in run.rglob("*.sealed")} == {"a", "c"}
    assert not list((run / "keys").glob("b.*"))
    assert verify_ledger(run).failed == ()
    with Recorded.of(run).opened() as history:
        assert {name for name in kept if "(" not in name} <= set(history.ledger.tombstones())
        rest = history.erased_model("0001") - history.initial() - theirs["a"] - theirs["c"]
        torch.testing.assert_close(
            rest, theirs["b"] / 2
        )  # what the erasure left of b, now the others', by the squares of what they put in
        squares = {client: float(theirs[client].square().sum()) for client in "ac"}
        for client, square in squares.items():
            share = square / sum(squares.values())
            torch.testing.assert_close(history.influence(client), theirs[client] + share * rest)
        after = float(history.erased_model("0001")[0] - history.influence("a")[0])
    again = Erasing(run=run, forget=["a"], options={"scale": 1.0})
    assert weight(again.arrays()) == after
    assert int(again.arrays()["steps"].numpy()) == 2
    assert again.grid(grid()).forget == {"a", "b"}
    with pytest.raises(FedletheError, match="'b' took part in no round"):
        Erasing(run=run, forget=["b"]).arrays()
    with pytest.raises(FedletheError, match="cannot go on"):
        Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=3)


def test_who_only_repaired_is_in_the_model_and_is_not_said_to_be_in_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run, keep="everything").start(grid(clients="ab"), initial(), num_rounds=2)
    erasing = Erasing(run=run, forget=["b"])
    retained = erasing.grid(grid(clients="abc"))
    result = plain().start(retained, initial_arrays=erasing.arrays(), num_rounds=1)
    erasing.enter(result.arrays, retained)
    with Recorded.of(run).opened() as history:
        assert held_by([up_to(history, "0001")]) == {"a", "b", "c"}
    erasing.purge()
    with pytest.raises(FedletheError, match=r"'c' trained in the repair of an erasure alone.*train again without it"):
        Erasing(run=run, forget=["c"]).arrays()


def test_where_nobody_else_trained_those_who_stay_repair_before_the_purge(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(clients="ab"), initial(), num_rounds=1)
    erasing = Erasing(run=run, forget=["a", "b"], options={"scale": 0.5})
    erasing.enter(erasing.arrays(), erasing.grid(grid()))
    with pytest.raises(FedletheError, match="nobody who stays trained since the initial model"):
        erasing.purge()
    retained = erasing.grid(grid(clients="abcd"))
    result = plain().start(retained, initial_arrays=erasing.arrays(), num_rounds=1)
    erasing.enter(result.arrays, retained)
    erasing.purge()
    assert verify_ledger(run).failed == ()
    assert not (run / "erasures/0001/model.safetensors").exists()


def test_what_cannot_be_erased_is_said(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match=r"'z' took part in no round of .*those are a, b, c"):
        Erasing(run=run, forget=["z"]).arrays()
    with pytest.raises(FedletheError, match="did not keep"):
        Erasing(run=run, forget=["a"], method="rollback").arrays()
    whole = tmp_path / "whole"
    Recording(plain(), run=whole, keep="everything").start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match="fedlethe flower new"):
        Erasing(run=whole, forget=["a"], method="retrain").arrays()
    with pytest.raises(FedletheError, match=r"holds no recording"):
        Erasing(run=tmp_path / "nothing", forget=["a"])


def test_a_purge_counts_the_messages_of_the_apps_own_run_as_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = list[tuple[Path, int | None]]()

    def clear_messages(path: Path, own_run: int | None = None) -> superlink_state.Swept:
        swept.append((path, own_run))
        return superlink_state.Swept(path, 0, None, ())

    state = tmp_path / "state.db"
    state.touch()
    monkeypatch.setenv(superlink_state.STATE, str(state))
    monkeypatch.setattr(superlink_state, "clear_messages", clear_messages)
    Recording(plain(), run=tmp_path / "run", keep="everything").start(grid(), initial(), num_rounds=1)
    erasing, nodes = Erasing(run=tmp_path / "run", forget=["b"]), grid()
    nodes.set_run(SimpleNamespace(run_id=7))
    erasing.enter(erasing.arrays(), erasing.grid(nodes))
    erasing.purge()
    assert swept == [(state, 7)]
