# SPDX-License-Identifier: MIT
"""How clients train in repair rounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fedlethe.federation.client import LocalTraining
from fedlethe.federation.repair import Repair

RUNS_OWN = LocalTraining(epochs=0.5, batch_size=32, optimizer="adam", learning_rate=0.002)


@pytest.mark.parametrize(("batch_size", "sizes"), [(None, [32, 18]), (8, [8, 8, 8, 8, 8, 8, 2])])
def test_a_smaller_batch_makes_more_steps_of_the_same_images(batch_size: int | None, sizes: list[int]) -> None:
    settings = Repair(batch_size=batch_size).settings(RUNS_OWN)
    steps = list(settings.batches(100, torch.Generator().manual_seed(0)))
    assert [len(step) for step in steps] == sizes  # half an epoch of 100 images
    assert (settings.optimizer, settings.learning_rate) == ("adam", 0.002)


def test_a_batch_of_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        Repair(batch_size=0)


def test_epochs_are_a_share_of_the_run_s_unless_they_are_said() -> None:
    assert Repair(ratio=0.5).settings(RUNS_OWN).epochs == 0.25
    assert Repair(ratio=0.5, epochs=3.0).settings(RUNS_OWN).epochs == 3.0
    assert Repair(learning_rate=0.1).settings(RUNS_OWN).learning_rate == 0.1
    assert Repair().settings(RUNS_OWN) == RUNS_OWN


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": -1}, "repair rounds must be at least 0"),
        ({"ratio": 0.0}, "ratio must be a finite number above 0"),
        ({"ratio": float("inf")}, "ratio must be a finite number above 0"),
        ({"clients": 0}, "at least 1 client must repair"),
        ({"rounds": 0, "clients": 2}, "there is no repair round"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"epochs": float("nan")}, "epochs"),
    ],
)
def test_what_no_repair_can_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Repair(**options)


def test_the_same_repair_is_written_the_same() -> None:
    assert Repair(batch_size=8, clients=2).canonical() == {
        "rounds": 1,
        "epochs": None,
        "ratio": 1.0,
        "learning_rate": None,
        "batch_size": 8,
        "clients": 2,
    }
