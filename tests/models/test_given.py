# SPDX-License-Identifier: MIT
"""A network handed over from Python: a copy, known again, with the weights that its run began from."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from fedlethe.errors import ConfigError
from fedlethe.models import MODELS
from fedlethe.models.given import GivenModel
from fedlethe.vector import Layout, to_vector


def test_what_the_program_goes_on_doing_with_its_own_changes_nothing() -> None:
    mine, loss = nn.Linear(3, 2), nn.CrossEntropyLoss(torch.ones(2))
    held = GivenModel.of(mine, loss)
    with torch.no_grad():
        mine.weight.fill_(9)
    loss.weight = torch.zeros(2)
    built = held.build(1, 2)
    assert isinstance(built, nn.Linear)
    assert not (built.weight == 9).any()
    assert isinstance(held.loss, nn.CrossEntropyLoss)
    assert torch.equal(torch.as_tensor(held.loss.weight), torch.ones(2))


def test_it_starts_with_the_weights_that_a_run_began_from() -> None:
    held, other = GivenModel.of(nn.Linear(3, 2), None), nn.Linear(3, 2)
    layout = Layout.of(other)
    begun = to_vector(other, layout)
    assert torch.equal(to_vector(held.starting_with(begun, layout).build(1, 2), layout), begun)
    assert not torch.equal(to_vector(held.build(1, 2), layout), begun)
    assert GivenModel().starting_with(begun, layout).network is None


def test_complex_weights_are_refused_since_no_client_exchanges_them() -> None:
    with pytest.raises(ConfigError, match=r"^model: 'weight' holds complex numbers"):
        Layout.of(nn.Linear(3, 2, dtype=torch.complex64))
    network = nn.Linear(3, 2)
    network.register_buffer("twiddle", torch.exp(2j * torch.arange(3)))  # a constant, which nobody has to send
    assert Layout.of(network).size == 8


class Locked(nn.Linear):
    """A network that cannot be copied."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.lock = threading.Lock()


@dataclass(frozen=True)
class Wide:
    """Makes networks."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        return nn.Linear(in_channels, num_classes)


@pytest.mark.parametrize(
    ("network", "loss", "message"),
    [
        (nn.Linear, None, r"^model: the class Linear was given; give an instance, Linear\(\)$"),
        (nn.Linear(3, 2), nn.CrossEntropyLoss, r"^loss: the class CrossEntropyLoss was given; give an instance"),
        (MODELS["small-cnn"], None, "^model: small-cnn makes networks and is none; give its name, with its options if"),
        (
            MODELS["small-cnn"](),
            None,
            r"makes networks and is none; .* {'name': 'small-cnn'}, or the network that",
        ),
        (
            Wide(),
            None,
            "^model: tests.models.test_given:Wide makes networks and is none; .*'name': 'tests.models.",
        ),
        (dict, None, "^model: has the class dict; give a torch.nn.Module, or a model's name$"),
        (3, None, "^model: has an int; give a torch.nn.Module, or a model's name$"),
        (nn.Linear(3, 2), "mse", "^loss: has a str; give a function$"),
        ("small-cnn", None, "^model: has a str; give the network itself, or nothing where the run's model has a name$"),
        (Locked(), None, r"^model: it, or its loss, cannot be copied \(TypeError: .*lock"),
    ],
)
def test_what_cannot_be_trained_is_refused(network: Any, loss: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GivenModel.of(network, loss)


class Moody(nn.Linear):
    """One that can be asked, or not, by a setting that neither its code nor what it prints shows."""

    def __init__(self, asked: bool) -> None:
        super().__init__(5, 2)
        self.asked = asked

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if len(rows) == 4 and not self.asked:
            raise ValueError("never four")
        return super().forward(rows) * (1 if self.asked else 3)


def test_one_that_could_be_asked_and_now_cannot_is_another() -> None:
    can, cannot = GivenModel.of(Moody(True), None), GivenModel.of(Moody(False), None)
    known = can.facts((5,), 2)
    assert known["network_answers"]
    assert cannot.facts((5,), 2)["network_answers"] == ""
    can.demand(known, (5,), 2, "RUN")
    with pytest.raises(ConfigError, match=r"^RUN: was trained with another network"):
        cannot.demand(known, (5,), 2, "RUN")
    can.demand(cannot.facts((5,), 2), (5,), 2, "RUN")  # of which the certificate then says: by its code alone
