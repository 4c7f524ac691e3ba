# SPDX-License-Identifier: MIT
"""A training of one's own app that begins from an erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.wrap.erasing import Erasing
from fedlethe.flower.wrap.recording import Recording
from fedlethe.history.entries import BEGAN
from fedlethe.requests.verify import verify_ledger
from tests.flower.wrap.halfway import TARGETS, grid, initial, plain, weight


def test_a_recorded_training_begins_from_an_erasure_without_who_was_erased(tmp_path: Path) -> None:
    run, erasure = tmp_path / "run", tmp_path / "run/erasures/0001"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=2)
    erasing = Erasing(run=run, forget=["b"], options={"scale": 0.5})
    erasing.enter(erasing.arrays(), erasing.grid(grid()))
    erasing.purge()
    asked: list[str] = []

    def seen(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        asked.append(client)
        return arrays

    begun = Recording(plain(), run=tmp_path / "next", after=erasure)
    result = begun.start(grid(seen), initial(), num_rounds=1)
    assert sorted(asked) == ["a", "c"]
    start, targets = 0.75 - 0.5 * 1.9375, {client: TARGETS[client] for client in "ac"}
    half = (start + (targets["a"] + 2 * targets["c"]) / 3) / 2
    assert weight(result.arrays) == pytest.approx(half)
    # A later call goes on without it, said or not; an erasure from there does not write to it.
    Recording(plain(), run=tmp_path / "next").start(grid(seen), initial(), num_rounds=2)
    assert sorted(asked) == ["a", "a", "c", "c"]
    assert Erasing(run=tmp_path / "next", forget=["a"]).grid(grid()).forget == {"a", "b"}
    with pytest.raises(FedletheError, match=r"take_back x: was not erased in .* those erased are b$"):
        Recording(plain(), run=tmp_path / "x", after=erasure, take_back=["x"]).start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match="take_back b: a fresh model left nobody out"):
        Recording(plain(), run=tmp_path / "x", take_back=["b"])
    back = Recording(plain(), run=tmp_path / "back", after=erasure, take_back=["b"])
    back.start(grid(seen), initial(), num_rounds=1)
    assert sorted(asked[4:]) == ["a", "b", "c"]
    with Recorded.of(tmp_path / "back").opened() as history:
        (event,) = history.ledger.events(BEGAN)
        assert (event.body["take_back"], event.body["left_out"]) == (["b"], [])
    assert verify_ledger(tmp_path / "back").failed == ()
