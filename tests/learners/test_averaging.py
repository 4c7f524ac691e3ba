# SPDX-License-Identifier: MIT
"""The schedule of a training, and what federated averaging asks of a history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import RequestError
from fedlethe.federation.metered import Meter
from fedlethe.learners.averaging import AveragingLearner, schedule_of
from fedlethe.learners.training import train_run
from fedlethe.models import initialise
from fedlethe.runs.opening import opened_run
from fedlethe.types import Need
from fedlethe.vector import to_vector
from tests.runs.small import HOSPITALS, NETWORK, trained


def test_a_training_that_goes_on_has_the_rounds_that_are_left() -> None:
    config = resolve({**NETWORK, "federation": {"rounds": 6, "participation": 0.4}})
    clients = [f"c{number}" for number in range(5)]
    whole = schedule_of(config, clients, seed=3)
    assert [round for round, _ in whole] == [1, 2, 3, 4, 5, 6]
    assert all(len(participants) == 2 for _, participants in whole)
    assert len({participants for _, participants in whole}) > 1  # drawn anew in each round
    assert schedule_of(config, clients, seed=3, after=4) == whole[4:]
    assert schedule_of(config, clients, seed=3, after=6) == []
    assert schedule_of(config, clients, seed=4) != whole


def test_a_retraining_has_a_start_of_its_own_and_is_metered(network: Path) -> None:
    with opened_run(network) as run:
        one, other = (AveragingLearner().retrain(run, HOSPITALS[1:], seed) for seed in (1, 2))
        assert not torch.equal(one, other)
        meter = Meter()
        assert torch.equal(AveragingLearner().retrain(run, HOSPITALS[1:], 1, meter), one)
        held = sum(len(run.data.clients[name].train) for name in HOSPITALS[1:])
        assert meter.cost().examples == 2 * held  # two rounds of one epoch
        assert meter.clients == set(HOSPITALS[1:])


def test_the_start_of_a_retraining_follows_from_its_seed(network: Path) -> None:
    with opened_run(network) as run:
        config = run.config
        still = replace(config, local=replace(config.local, learning_rate=1e-12))  # so that the start is all there is
        for seed in (1, 2):
            fresh = initialise(config.model, run.data.image_shape[0], len(run.data.classes), seed)
            start = to_vector(fresh, run.layout)
            model = AveragingLearner().retrain(replace(run, config=still), HOSPITALS, seed)
            assert torch.allclose(model, start, atol=1e-5)


def test_a_method_is_not_begun_without_what_it_needs(network: Path) -> None:
    with opened_run(network) as run:
        (part,) = run.parts()
        after = replace(run, earlier=(replace(part, keep=part.keep - {Need.INFLUENCE}),))
        method = run.config.method("influence", {})
        with pytest.raises(RequestError, match=r"^influence: "):
            AveragingLearner().unlearn(after, HOSPITALS[:1], method, run.history, Meter())


def test_who_is_not_in_the_data_any_more_cannot_be_erased(network: Path) -> None:
    with opened_run(network) as run:
        fewer = replace(run, data=run.data.without(HOSPITALS[:1]))
        assert AveragingLearner().erasable(fewer.data, run.history) == list(HOSPITALS[1:])


def test_a_network_on_features_is_trained_and_erased_as_any_other(tmp_path: Path) -> None:
    head = {"features": {"scales": 2, "angles": 4}, "model": {"name": "head", "hidden": 8}}
    run = trained({**NETWORK, **head}, tmp_path / "run")
    with opened_run(run) as opened:
        size = opened.data.image_shape[0]
        assert opened.layout.size == size * 8 + 8 + 8 * 2 + 2
        before = opened.history.final()
        retrain, influence = (
            erase(opened, order_for(opened.config, HOSPITALS[1:2], ErasurePlan(method=method, repair={"rounds": 0})))
            for method in ("retrain", "influence")
        )
        assert retrain.guarantee is not None
        assert retrain.guarantee.kind == "exact"
        assert influence.guarantee is None
        left = opened.history.erased_model(influence.id)
        torch.testing.assert_close(left, before - opened.history.influence(HOSPITALS[1]))


def test_public_images_have_features_too_where_a_method_takes_them(tmp_path: Path) -> None:
    head = {"features": {"scales": 2, "angles": 4}, "model": {"name": "head", "hidden": 8}}
    run = trained({**NETWORK, **head, "partition": {"public_fraction": 0.2}}, tmp_path / "run")
    with opened_run(run) as opened:
        assert opened.images.public is not None
        assert opened.data.public is not None
        assert len(opened.data.public) == len(opened.images.public)
        assert opened.data.public.images.shape[1:] == opened.data.image_shape
        assert erase(opened, order_for(opened.config, HOSPITALS[1:2], ErasurePlan(method="kd"))).guarantee is None


class OfAnyShape(nn.Module):
    """Takes images and features alike, by their mean."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(1, num_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.last(inputs.flatten(1).mean(dim=1, keepdim=True))
        return answers


@pytest.mark.parametrize("other", [{"features": {"scales": 2, "angles": 4, "log": False}}, {}])
def test_a_network_on_features_goes_on_from_a_model_on_the_same_ones(other: dict[str, Any], tmp_path: Path) -> None:
    """Also where the network would take other inputs as well."""
    network = {**NETWORK, "model": {"name": f"{__name__}:OfAnyShape"}, "federation": {"rounds": 1}}
    same = {**network, "features": {"scales": 2, "angles": 4}}
    run = trained(same, tmp_path / "run")
    with opened_run(run) as opened:
        plan = ErasurePlan(method="influence", repair={"rounds": 0})
        after = erase(opened, order_for(opened.config, HOSPITALS[1:2], plan)).model.parent
    with pytest.raises(RequestError, match="was trained on other features, or on none; name the same"):
        train_run(resolve({**network, **other}), tmp_path / "other", after=after)
    assert not (tmp_path / "other").exists()
    assert train_run(resolve(same), tmp_path / "later", after=after).rounds == 1
