# SPDX-License-Identifier: MIT
"""Local training against a naive loop, and the batches that it takes."""

from __future__ import annotations

import math

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


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_every_optimizer_is_the_one_that_is_named(name: str) -> None:
    settings = LocalTraining(optimizer=name, weight_decay=0.1)  # type: ignore[arg-type]
    optimizer = settings.make_optimizer(_network())
    assert type(optimizer).__name__.lower() == name
    assert optimizer.param_groups[0]["weight_decay"] == 0.1


def test_momentum_is_of_sgd() -> None:
    assert LocalTraining().in_full().momentum == LocalTraining().make_optimizer(_network()).param_groups[0]["momentum"]
    assert LocalTraining(momentum=0.5).in_full().momentum == 0.5
    assert LocalTraining(optimizer="adam").in_full().momentum is None
    with pytest.raises(ValueError, match="momentum is of optimizer 'sgd', and this is 'adam'; leave it out"):
        LocalTraining(optimizer="adam", momentum=0.5)


def test_simulated_vectors_round_trip() -> None:
    network = _network()
    layout = Layout.of(network)
    assert list(layout.shapes) == ["1.bias", "1.weight"]
    assert to_vector(network, layout).shape == (10,)
