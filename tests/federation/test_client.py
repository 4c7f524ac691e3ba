# SPDX-License-Identifier: MIT
"""Local training against a naive loop, and the batches that it takes."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fedlethe.data.federated import Examples
from fedlethe.federation.client import LocalTraining, train_locally
from fedlethe.federation.execution import Execution
from fedlethe.types import Update
from fedlethe.vector import Layout, to_vector

EXECUTION = Execution(device="cpu", precision="float32")


def _network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def _examples(count: int) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (count + 3, 1, 2, 2), dtype=np.uint8)
    indices = np.arange(count)[::-1].copy()
    return Examples(pixels, indices, indices % 2)


def _trained(model: torch.Tensor, settings: LocalTraining, count: int = 7) -> Update:
    network = _network()
    return train_locally(
        network,
        Layout.of(network),
        model,
        client="a",
        examples=_examples(count),
        settings=settings,
        execution=EXECUTION,
        generator=torch.Generator().manual_seed(5),
    )


def test_it_is_stochastic_gradient_descent_with_momentum() -> None:
    settings = LocalTraining(epochs=2, batch_size=3, learning_rate=0.1, momentum=0.5, weight_decay=0.01)
    model = torch.randn(10, generator=torch.Generator().manual_seed(1))
    sent = model.clone()
    update = _trained(model, settings)
    bias, weight = sent[:2].double(), sent[2:].view(2, 4).double()
    velocity = torch.zeros(2, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    examples = _examples(7)
    for positions in settings.batches(7, torch.Generator().manual_seed(5)):
        chosen = examples.indices[positions]
        x = (torch.from_numpy(examples.images[chosen]).double().flatten(1) / 255 - 0.5) / 0.5
        y = nn.functional.one_hot(torch.from_numpy(chosen % 2), 2).double()
        error = (x @ weight.T + bias).softmax(dim=1) - y  # d loss / d logits, softmax with cross-entropy
        gradients = error.mean(dim=0) + 0.01 * bias, error.T @ x / len(x) + 0.01 * weight
        velocity = 0.5 * velocity[0] + gradients[0], 0.5 * velocity[1] + gradients[1]
        bias, weight = bias - 0.1 * velocity[0], weight - 0.1 * velocity[1]
    torch.testing.assert_close(update.model.double(), torch.cat([bias, weight.flatten()]), atol=1e-5, rtol=1e-5)
    assert torch.equal(model, sent)
    assert (update.num_examples, update.examples_processed, update.steps) == (7, 12, 4)  # 3 + 3 + (1 left out), twice


def test_one_generator_gives_one_update() -> None:
    settings = LocalTraining(optimizer="adam", learning_rate=0.01)
    model = torch.zeros(10)
    assert torch.equal(_trained(model, settings).model, _trained(model, settings).model)


@given(count=st.integers(1, 40), size=st.integers(1, 9), epochs=st.floats(0.05, 3.0), seed=st.integers(0, 5))
def test_batches_are_fresh_shuffles_of_so_many_epochs(count: int, size: int, epochs: float, seed: int) -> None:
    batches = list(LocalTraining(epochs=epochs, batch_size=size).batches(count, torch.Generator().manual_seed(seed)))
    taken = np.concatenate(batches)
    wanted = math.ceil(epochs * count)
    passes = math.ceil(wanted / count)
    assert wanted - passes * (size > 1) <= len(taken) <= wanted
    assert all(len(batch) <= size for batch in batches)
    assert max(np.bincount(taken, minlength=count)) <= passes
    if size > 1 and count > 1 and wanted % count != 1:
        assert all(len(batch) > 1 for batch in batches)


@pytest.mark.parametrize(
    ("name", "kind", "stated", "used"),
    [
        ("sgd", torch.optim.SGD, {}, {"momentum": 0.9}),
        ("sgd", torch.optim.SGD, {"momentum": 0.5}, {"momentum": 0.5}),
        ("sgd", torch.optim.SGD, {"momentum": 0.0}, {}),
        ("adam", torch.optim.Adam, {}, {}),
        ("adamw", torch.optim.AdamW, {}, {}),
    ],
)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_every_optimizer_is_the_one_that_is_named(
    name: Any, kind: Any, stated: dict[str, Any], used: dict[str, Any], weight_decay: float
) -> None:
    """Bit for bit PyTorch's class, also where a layer gets no gradient at first."""
    ours, theirs = _network(), _network()
    theirs.load_state_dict(ours.state_dict())
    settings = LocalTraining(optimizer=name, learning_rate=0.1, weight_decay=weight_decay, **stated)
    step = settings.make_step(ours)
    optimizer = kind(theirs.parameters(), lr=0.1, weight_decay=weight_decay, **used)
    for turn in range(4):
        for network in (ours, theirs):
            generator = torch.Generator().manual_seed(turn)
            for place, parameter in enumerate(network.parameters()):
                reached = place > 0 or turn > 1
                parameter.grad = torch.randn(parameter.shape, generator=generator) if reached else None
        step()
        optimizer.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_who_trains_by_gradient_descent_does_not_wait_for_pytorch_s_compiler() -> None:
    """`torch.optim.SGD` imports it: two seconds in each process."""
    code = (
        "import sys, torch\nfrom fedlethe.federation.client import LocalTraining\nnetwork = torch.nn.Linear(2, 2)\n"
        "step = LocalTraining().make_step(network)\nnetwork(torch.ones(1, 2)).sum().backward()\nstep()\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_momentum_is_of_sgd() -> None:
    assert LocalTraining().in_full().momentum == 0.9
    assert LocalTraining(momentum=0.5).in_full().momentum == 0.5
    assert LocalTraining(optimizer="adam").in_full().momentum is None
    with pytest.raises(ValueError, match="momentum is of optimizer 'sgd', and this is 'adam'; leave it out"):
        LocalTraining(optimizer="adam", momentum=0.5)


def test_simulated_vectors_round_trip() -> None:
    network = _network()
    layout = Layout.of(network)
    assert list(layout.shapes) == ["1.bias", "1.weight"]
    assert to_vector(network, layout).shape == (10,)
