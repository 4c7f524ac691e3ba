# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.errors import FedletheError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.simulated import SimulatedFederation
from fedlethe.vector import Layout


@pytest.fixture
def federation() -> SimulatedFederation:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 1, 2, 2), dtype=np.uint8)
    clients = {}
    for number, name in enumerate("abc"):
        held = np.arange(10 * number, 10 * number + 10)
        examples = Examples(pixels, held, held % 2)
        clients[name] = ClientData(examples, examples, examples)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    data = FederatedData(clients=clients, classes=("0", "1"), image_shape=(1, 2, 2), source_fingerprint="x")
    return SimulatedFederation(
        network=network,
        layout=Layout.of(network),
        data=data,
        settings=LocalTraining(batch_size=3),
        execution=Execution(device="cpu", precision="float32"),
        seed=0,
    )


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
