# SPDX-License-Identifier: MIT
"""Looking at a run without changing it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from fedlethe.config import resolve
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.history import checkpoint
from fedlethe.runs.inspection import data_overview, evaluate_model, history_overview
from fedlethe.runs.opening import opened_run
from tests.runs.small import HOSPITALS, NETWORK


def test_the_model_that_is_named_is_evaluated(network: Path) -> None:
    with opened_run(network) as run:
        first = evaluate_model(run, None, 0, None, "test")
        assert first.evaluation == run.evaluate(run.history.initial())
        assert evaluate_model(run, None, None, None, "test").evaluation == run.evaluate(run.history.final())
        assert evaluate_model(run, first.model, None, None, "test").evaluation == first.evaluation


def test_two_models_at_once_and_models_that_are_not_there_are_refused(network: Path, tmp_path: Path) -> None:
    with opened_run(network) as run:
        with pytest.raises(HistoryError, match="give one of them"):
            evaluate_model(run, tmp_path / "model.safetensors", 1, None, "test")
        with pytest.raises(HistoryError, match="there is no round 3; its rounds are 0 to 2"):
            evaluate_model(run, None, 3, None, "test")
        broken = torch.full((run.layout.size,), float("nan"))
        checkpoint.save(tmp_path / "broken.safetensors", broken, run.layout)
        with pytest.raises(HistoryError, match="NaN"):
            evaluate_model(run, tmp_path / "broken.safetensors", None, None, "test")


def test_a_history_that_is_whole_is_rebuilt_and_adds_up(network: Path, tmp_path: Path) -> None:
    found = history_overview(network, check=True, rebuild=1, out=tmp_path / "one.safetensors")
    assert found.check is not None
    assert found.check.rounds_rebuilt == 2
    assert found.check.influence_residual is not None
    assert found.check.influence_bound is not None
    assert found.check.influence_residual <= found.check.influence_bound
    with opened_run(network) as run:
        rebuilt = checkpoint.load(tmp_path / "one.safetensors", run.layout, None)
        assert torch.equal(rebuilt, run.history.global_model(1))
    with pytest.raises(HistoryError, match="is there already"):
        history_overview(network, check=False, rebuild=1, out=tmp_path / "one.safetensors")


def test_a_file_that_was_changed_is_found(network: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(network, tmp_path / "run"))
    model = run / "global_checkpoints/round_0001.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert history_overview(run, check=False, rebuild=None, out=None).check is None
    with pytest.raises(FedletheError, match=r"round_0001\.safetensors"):
        history_overview(run, check=True, rebuild=None, out=None)


def test_images_are_counted_by_client_and_class() -> None:
    found = data_overview(resolve(NETWORK), None)
    counts = found.counts["train"]
    assert tuple(counts) == HOSPITALS
    assert sum(sum(mix.values()) for split in found.counts.values() for mix in split.values()) == 3 * 24
