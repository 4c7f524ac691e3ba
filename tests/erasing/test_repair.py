# SPDX-License-Identifier: MIT
"""How clients train in repair rounds, and how a request for them is written down."""

from __future__ import annotations

import json

import pytest
import torch

from fedlethe.erasing.order import ErasureOrder
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.repair import Repair
from fedlethe.unlearning import METHODS

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


def test_a_request_without_a_batch_size_is_written_as_before_there_was_one() -> None:
    def repair(**fields: int) -> object:
        request = ErasureOrder(
            forget=("a",), method_name="influence", method=METHODS["influence"](), repair=Repair(**fields)
        )
        return json.loads(request.canonical())["repair"]

    before = {"rounds": 1, "epochs": None, "ratio": 1.0, "learning_rate": None}
    assert repair() == before
    assert repair(batch_size=8) == {**before, "batch_size": 8}
