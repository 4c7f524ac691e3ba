# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from fedlethe.data.federated import ClientData, Examples, FederatedData
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
