# SPDX-License-Identifier: MIT
"""A strategy's own state outlives its server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg

from fedlethe.errors import FedletheError
from fedlethe.flower import Recording
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.wrap.strategy_state import pack, plain_values, restore, state, unpack
from tests.flower.wrap.halfway import STRATEGIES, grid, initial, weight


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_server_that_died_goes_on_with_the_strategys_own_state(name: str, tmp_path: Path) -> None:
    make = STRATEGIES[name]
    bare = make().start(grid(clients="abc"), initial(), num_rounds=5)
    whole = Recording(make(), run=tmp_path / "whole").start(grid(), initial(), num_rounds=5)

    def dies(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        if round == 4 and client == "b":
            raise KeyboardInterrupt
        return arrays

    with pytest.raises(KeyboardInterrupt):
        Recording(make(), run=tmp_path / "died").start(grid(dies), initial(), num_rounds=5)
    rounds: list[int] = []

    def seen(client: str, round: int, arrays: dict[str, Any]) -> dict[str, Any]:
        rounds.append(round)
        return arrays

    resumed = Recording(make(), run=tmp_path / "died").start(grid(seen), initial(), num_rounds=5)
    assert sorted(set(rounds)) == [4, 5]
    assert sorted(resumed.train_metrics_clientapp) == [4, 5]
    assert resumed.arrays["weight"].data == whole.arrays["weight"].data
    assert weight(whole.arrays) == pytest.approx(weight(bare.arrays))  # Flower sums in an order of its own
    again = Recording(make(), run=tmp_path / "died").start(grid(), initial(), num_rounds=5)
    assert again.arrays["weight"].data == whole.arrays["weight"].data  # all rounds are there; nobody is asked
    with Recorded.of(tmp_path / "died").opened() as history:
        history.verify()
        assert len([one for one in history.ledger.artefacts().values() if one.kind == "server state"]) == 1


def test_a_privacy_accountant_that_would_start_anew_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    make = STRATEGIES["fixed clipping"]
    Recording(make(), run=run).start(grid(), initial(), num_rounds=1)
    accounted: Any = make()
    accounted.accountant = object()
    with pytest.raises(FedletheError, match="would count from zero"):
        Recording(accounted, run=run).start(grid(), initial(), num_rounds=2)


class Momentum(FedAvg):
    """A strategy with a state of every form."""

    def __init__(self) -> None:
        super().__init__()
        self.rate: float = 1.0
        self.unknown: float = float("nan")
        self.velocity: Any = None
        self.moments: Any = {}
        self.layers: Any = []
        self.sent: Any = None


def test_every_form_of_state_comes_back_in_a_fresh_strategy() -> None:
    used: Any = DifferentialPrivacyServerSideFixedClipping(Momentum(), 0.0, 1.0, 3)
    fresh = plain_values(used)
    inner = used.strategy
    inner.rate, inner.velocity = 0.5, np.float32(7)
    inner.moments = {"w": np.asarray([1.0, 2.0]), "b": np.asarray(3.0)}
    inner.layers = [np.asarray([1]), np.asarray([[2, 3]])]
    inner.sent = ArrayRecord({"w": Array(np.asarray([4.0], np.float32))})
    arrays, plain = state(used, fresh)
    assert plain["strategy/rate"] == 0.5
    assert "strategy/unknown" not in plain  # NaN as it was
    content = pack(arrays, plain)
    other: Any = DifferentialPrivacyServerSideFixedClipping(Momentum(), 0.0, 1.0, 3)
    restore(other, *unpack(content, Path("state")))
    held = other.strategy
    assert (held.rate, float(held.velocity)) == (0.5, 7.0)
    assert {name: array.tolist() for name, array in held.moments.items()} == {"w": [1.0, 2.0], "b": 3.0}
    assert [array.tolist() for array in held.layers] == [[1], [[2, 3]]]
    assert held.sent["w"].numpy().tolist() == [4.0]


def test_what_did_not_change_is_no_state() -> None:
    strategy = Momentum()
    assert state(strategy, plain_values(strategy)) == ({}, {})


def test_the_state_of_another_strategy_is_refused() -> None:
    with pytest.raises(FedletheError, match=r"Momentum: the record is of another strategy \(it has velocities\)"):
        restore(Momentum(), {}, {"velocities": 1.0})
    with pytest.raises(FedletheError, match="lacks the arrays of 'velocity'"):
        restore(Momentum(), {}, {"velocity": {"form": "array", "names": [""]}})


@pytest.mark.parametrize("plain", [None, "[1]", "{", "[" * 100_000])
def test_a_file_that_holds_no_state_is_named(plain: str | None) -> None:
    content = safetensors.numpy.save({"w": np.zeros(1)}, None if plain is None else {"plain": plain})
    with pytest.raises(FedletheError, match=r"^run/state: holds no state of a strategy"):
        unpack(content, Path("run/state"))
    with pytest.raises(FedletheError, match="run/state"):
        unpack(content[:-3], Path("run/state"))
