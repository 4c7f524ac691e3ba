# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.data.federated import normalise
from fedlethe.errors import FedletheError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.objective import Ascent, Ball, Distillation
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.vector import load_vector


def test_a_client_trains_alike_whoever_else_takes_part(federation: SimulatedFederation) -> None:
    model = torch.ones(10)
    alone, first, last = (
        {update.client: update.model for update in federation.train(model, clients, round=4)}["b"]
        for clients in ("b", "bca", "cab")
    )
    assert torch.equal(alone, first)
    assert torch.equal(alone, last)
    retained = {update.client: update.model for update in federation.without("a").train(model, "bc", round=4)}
    assert torch.equal(alone, retained["b"])


def test_another_round_shuffles_otherwise(federation: SimulatedFederation) -> None:
    one, other = (next(iter(federation.train(torch.ones(10), "b", round=round))).model for round in (1, 2))
    assert not torch.equal(one, other)


def test_an_erased_client_cannot_be_asked(federation: SimulatedFederation) -> None:
    retained = federation.without(["a"])
    assert retained.clients == ("b", "c")
    assert "a" not in retained.data.clients
    with pytest.raises(FedletheError, match="'a' is not in this federation"):
        list(retained.train(torch.ones(10), "a", round=1))
    with pytest.raises(FedletheError, match="no client would be left"):
        federation.without("abc")


def test_ascent_forgets_within_its_ball(federation: SimulatedFederation) -> None:
    model = torch.ones(10)
    settings = LocalTraining(epochs=20, learning_rate=0.5)
    before, after = (
        next(iter(federation.train(start, "a", round=1, settings=LocalTraining(learning_rate=1e-9)))).loss
        for start in (
            model,
            next(
                iter(federation.train(model, "a", round=1, settings=settings, objective=Ascent(Ball(model, 0.7))))
            ).model,
        )
    )
    assert after > before
    (update,) = federation.train(model, "a", round=1, settings=settings, objective=Ascent(Ball(model, 0.7)))
    assert float((update.model - model).norm()) == pytest.approx(0.7, rel=1e-5)  # it would have gone further


def test_a_clipped_step_is_no_longer_than_the_clip(federation: SimulatedFederation) -> None:
    model = torch.ones(10)
    settings = LocalTraining(epochs=1, batch_size=10, learning_rate=1.0, momentum=0.0)
    (free,) = federation.train(model, "a", round=1, settings=settings)
    (clipped,) = federation.train(model, "a", round=1, settings=replace(settings, clip=1e-3))
    assert float((free.model - model).norm()) > 1e-2
    assert float((clipped.model - model).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_public_images_belong_to_nobody_and_have_to_be_there(federation: SimulatedFederation) -> None:
    model, teacher = torch.ones(10), torch.arange(10.0)
    distil = Distillation(teacher)
    with pytest.raises(FedletheError, match="public_fraction"):
        federation.train_on_public(model, round=1, objective=distil)
    public = federation.data.clients["a"].train
    richer = replace(federation, data=replace(federation.data, public=public))
    settings = LocalTraining(epochs=50, learning_rate=0.5)
    update = richer.train_on_public(model, round=1, objective=distil, settings=settings)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    answers = []
    for vector in (update.model, teacher, model):
        load_vector(network, richer.layout, vector)
        answers.append(network(normalise(public.batch(np.arange(10))[0])).softmax(dim=1).detach())
    taught, wanted, untaught = answers
    assert float((taught - wanted).abs().max()) < 0.05 < float((untaught - wanted).abs().max())
