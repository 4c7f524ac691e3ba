# SPDX-License-Identifier: MIT
"""Any Flower strategy, recorded: numbers worked out by hand, refusals, a full disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, RecordDict

from fedlethe.errors import FedletheError
from fedlethe.flower import Recording
from fedlethe.flower.nodes.recorded_folder import Recorded
from tests.flower.wrap.halfway import STRATEGIES, grid, initial, plain, weight


def test_what_each_client_put_into_the_model_is_on_record(tmp_path: Path) -> None:
    recording = Recording(plain(), run=tmp_path / "run", keep="everything")
    result = recording.start(grid(), initial(), num_rounds=2)
    # Round 1: models 2, 4, -2 with weights 1/4, 1/4, 1/2: 0.5. Round 2: 2.25, 4.25, -1.75: 0.75.
    assert weight(result.arrays) == 0.75
    assert int(result.arrays["steps"].numpy()) == 2
    assert sorted(result.train_metrics_clientapp) == [1, 2]
    with Recorded.of(tmp_path / "run").opened() as history:
        assert history.rounds == 2
        assert history.clients == ("a", "b", "c")
        assert history.weights(1) == {"a": 0.25, "b": 0.25, "c": 0.5}
        # p x delta: a 0.25 x (2 + 1.75), b 0.25 x (4 + 3.75), c 0.5 x (-2 - 2.25)
        assert {client: float(history.influence(client)[0]) for client in "abc"} == {
            "a": 0.9375,
            "b": 1.9375,
            "c": -2.125,
        }
        assert float(history.final()[1]) == 0.75
        history.verify()
        for record in history.replay():
            assert record.after.tolist() == history.global_model(record.round).tolist()


def test_another_model_strategy_or_record_in_the_folder_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Recording(plain(), run=run).start(grid(), initial(), num_rounds=1)
    with pytest.raises(FedletheError, match="its strategy is FedAvg, not FedAdam"):
        Recording(STRATEGIES["FedAdam"](), run=run).start(grid(), initial(), num_rounds=2)
    with pytest.raises(FedletheError, match="its keep is needed, not everything"):
        Recording(plain(), run=run, keep="everything").start(grid(), initial(), num_rounds=2)
    other = ArrayRecord({"weight": Array(np.zeros(3, np.float32)), "steps": Array(np.array(0))})
    with pytest.raises(FedletheError, match="holds the rounds of another model"):
        Recording(plain(), run=run).start(grid(), other, num_rounds=2)
    with pytest.raises(FedletheError, match="must be an absolute path"):
        Recording(plain(), run="run")
    wrong = ArrayRecord({"weight": Array(np.zeros(2))})
    with pytest.raises(FedletheError, match="float64; fedlethe records float32"):
        Recording(plain(), run=tmp_path / "wrong").start(grid(), wrong, num_rounds=2)


# SecAgg+


def test_secure_aggregation_is_refused_with_the_reason(tmp_path: Path) -> None:
    from flwr.server import LegacyContext, ServerConfig
    from flwr.server.client_manager import SimpleClientManager
    from flwr.server.strategy import FedAvg as LegacyFedAvg
    from flwr.server.workflow.default_workflows import default_init_params_workflow

    reason = "SecAgg\\+ hides each client's update from the server.*train without it"
    with pytest.raises(FedletheError, match=reason):
        Recording(LegacyFedAvg(), run=tmp_path / "legacy")  # type: ignore[arg-type]
    recording: Any = Recording(plain(), run=tmp_path / "workflow")
    context = LegacyContext(
        Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}),
        config=ServerConfig(num_rounds=1),
        strategy=recording,
        client_manager=SimpleClientManager(),
    )
    with pytest.raises(FedletheError, match=reason):  # where every run with SecAggPlusWorkflow begins
        default_init_params_workflow(grid(), context)


def test_a_full_disk_stops_the_recording_at_a_whole_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recording(plain(), run=tmp_path / "whole").start(grid(), initial(), num_rounds=3)
    run = tmp_path / "run"

    def full(descriptor: int) -> None:
        if (run / "global_checkpoints/round_0002.safetensors").exists():  # in the middle of the second round
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FedletheError, match="No space left on device"):
            Recording(plain(), run=run).start(grid(), initial(), num_rounds=3)
    with Recorded.of(run).opened() as history:
        assert 0 < history.rounds < 3
        history.verify()
    resumed = Recording(plain(), run=run).start(grid(), initial(), num_rounds=3)
    assert resumed.arrays["weight"].data == whole.arrays["weight"].data


@pytest.mark.parametrize(
    "first",
    [
        "fedlethe.flower.wrap.client_name",
        "fedlethe.flower.wrap.model_arrays",
        "fedlethe.flower.wrap.recording",
        "fedlethe.flower",
    ],
)
def test_no_name_is_a_module_in_one_order_of_imports_and_a_function_in_another(first: str) -> None:
    program = f"import {first}\nfrom fedlethe.flower import Recording, named\nprint(*map(callable, (named, Recording)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
