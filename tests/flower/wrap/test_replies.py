# SPDX-License-Identifier: MIT
"""Which replies reach the strategy, in which order, and what is recorded of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message
from flwr.clientapp import ClientApp

from fedlethe.errors import FedletheError
from fedlethe.flower import LocalGrid, LocalNode, Recording
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.wrap.client_name import named
from tests.flower.wrap.halfway import STRATEGIES, grid, initial, plain, weight


def test_whoever_answers_first_the_mean_is_the_same(tmp_path: Path) -> None:
    def noisy(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        drawn = np.random.default_rng(ord(client)).normal(size=1000).astype(np.float32)
        return {**arrays, "weight": arrays["weight"] + drawn}

    many = ArrayRecord({"weight": Array(np.zeros(1000, np.float32)), "steps": Array(np.array(0))})
    results = [
        Recording(plain(), run=tmp_path / clients).start(grid(noisy, clients), many, num_rounds=3)
        for clients in ("abc", "cba", "bca")
    ]
    assert len({result.arrays["weight"].data for result in results}) == 1


def test_what_is_recorded_is_what_entered_the_mean(tmp_path: Path) -> None:
    Recording(STRATEGIES["fixed clipping"](), run=tmp_path / "run").start(grid(), initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        # c's delta is (-2, -2), of norm 2.83, clipped with its counter to norm 1: it entered with half of that.
        assert np.linalg.norm(history.influence("c").numpy()) <= 0.5


def test_an_update_that_cannot_be_used_does_not_reach_the_strategy(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"weight": np.full(2, np.nan, np.float32), "steps": np.array(1)}, "NaN or infinite"),
        ({"weight": np.zeros(3, np.float32), "steps": np.array(1)}, "'weight' has shape (3,)"),
        ({"weight": np.zeros(2, np.int32), "steps": np.array(1)}, "'weight' is int32, not float32"),
        ({"weight": np.zeros(2, np.float32)}, "other arrays"),
    ]
    for number, (sent, reason) in enumerate(cases):

        def answer(client: str, round: int, arrays: dict[str, Any], sent: dict[str, Any] = sent) -> dict[str, Any]:
            return sent if client == "b" else arrays

        run = tmp_path / str(number)
        result = Recording(plain(), run=run).start(grid(answer), initial(), num_rounds=1)
        assert weight(result.arrays) == pytest.approx((2 - 2 * 2) / 3)  # a and c, 1 : 2
        with Recorded.of(run).opened() as history:
            rows = {row.client: row for row in history.ledger.participation(1)}
        assert reason in str(rows["b"].refused)
        assert rows["a"].weight == pytest.approx(1 / 3)


def test_who_fails_or_is_away_is_on_record(tmp_path: Path) -> None:
    def fails(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        if client == "b":
            raise RuntimeError("no memory")
        return arrays

    Recording(plain(), run=tmp_path / "run").start(grid(fails), initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        rows = {row.client: row.refused for row in history.ledger.participation(1)}
    assert rows == {"a": None, "b": "answered with an error: RuntimeError: no memory", "c": None}


def test_nodes_that_mask_their_updates_are_refused_with_the_reason(tmp_path: Path) -> None:
    from flwr.client.mod import secaggplus_mod

    app = named(ClientApp(mods=[secaggplus_mod]))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        raise AssertionError("the mod does not come so far")

    nodes = LocalGrid(app, [LocalNode({"client-uid": client}) for client in "abc"], {})
    with pytest.raises(FedletheError, match="SecAgg\\+ hides each client's update"):
        Recording(plain(), run=tmp_path / "run").start(nodes, initial(), num_rounds=1)
