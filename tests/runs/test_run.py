# SPDX-License-Identifier: MIT
"""A run that is open: what it can be asked for, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fedlethe.errors import FedletheError, HistoryError
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import demand_clients, demand_complete
from tests.runs.small import HOSPITALS


def test_names_are_held_against_the_data(network: Path) -> None:
    with opened_run(network) as run:
        demand_clients(run.data, HOSPITALS[:2])
        for wrong, message in (
            (("nobody",), "'nobody' is not in this federation"),
            (HOSPITALS, "no client would be left"),
            ((HOSPITALS[0], HOSPITALS[0]), "is named twice"),
        ):
            with pytest.raises(FedletheError, match=message):
                demand_clients(run.data, wrong)


def test_a_training_that_was_cut_off_is_said_with_the_way_on(network: Path) -> None:
    with opened_run(network) as run:
        demand_complete(run)
        settings = replace(run.config.federation, rounds=5)
        with pytest.raises(HistoryError, match=r"only 2 of 5 rounds .* fedlethe train --out"):
            demand_complete(replace(run, config=replace(run.config, federation=settings)))


def test_without_erasures_the_past_is_the_training(network: Path) -> None:
    with opened_run(network) as run:
        assert run.past() is run.history
        (part,) = run.parts()
        assert (part.history, part.erased, part.erasure) == (run.history, frozenset(), None)


def test_shuffles_follow_the_seed_that_is_asked_for(network: Path) -> None:
    with opened_run(network) as run:

        def trained(seed: int | None) -> torch.Tensor:
            (update,) = run.federation(seed).train(run.history.initial(), HOSPITALS[:1], round=1)
            return update.model

        assert torch.equal(trained(None), trained(run.config.seed))
        assert not torch.equal(trained(None), trained(run.config.seed + 1))


def test_what_the_network_takes_is_the_images_or_features_of_them(network: Path, closed: Path) -> None:
    with opened_run(network) as run:
        some = run.images.clients[HOSPITALS[0]].test
        assert run.inputs(some) is some
    with opened_run(closed) as run:
        some = run.images.clients[HOSPITALS[0]].test
        assert run.inputs(some).images.shape[1] == run.data.image_shape[0] != run.images.image_shape[0]
