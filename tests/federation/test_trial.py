# SPDX-License-Identifier: MIT
"""A network that cannot be trained on the images at hand is refused before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.data.division import divide
from fedlethe.data.federated import FederatedData
from fedlethe.data.partition import Partition
from fedlethe.errors import ConfigError
from fedlethe.federation.client import CROSS_ENTROPY, LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.objective import GivenLoss
from fedlethe.federation.trial import demand_trainable
from tests.data.sources import source

ON = r"on 4 images of shape \(1, 8, 8\) and 2 classes"
FLOAT32 = Execution(device="cpu", precision="float32")


@pytest.fixture
def data() -> FederatedData:
    return divide(source([0, 1] * 12), Partition(scheme="iid", clients=2), 0)


def flat(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers)


class Raising(nn.Module):
    """Answers once, and fails where it only evaluates."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not self.training:
            raise KeyError("no evaluation\nhere")
        outputs: torch.Tensor = self.layer(images.flatten(1))
        return outputs


class Pairs(Raising):
    """Answers with two things."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (super().forward(images), images)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (flat(nn.Linear(5, 2)), rf"^model 'mine': {ON}: fails \(RuntimeError: .*\); give a network that fits them$"),
        (flat(), "model 'mine': none of its weights takes a gradient"),
        (flat(nn.Linear(64, 2)).requires_grad_(False), "none of its weights takes a gradient"),
        (flat(nn.Linear(64, 1), nn.Flatten(0), nn.Unflatten(0, (2, 2))), f"{ON} it answers with .2, 2."),
        (nn.Conv2d(1, 2, 3), rf"{ON} it answers with \(4, 2, 6, 6\); give logits of shape \(4, 2\)"),
        (Pairs(), f"{ON} it answers with a tuple"),
        (Raising(), f"{ON}: fails .KeyError: 'no evaluation.*here'"),
        (
            flat(nn.Linear(64, 2), nn.LogSoftmax(1), nn.Threshold(0, float("nan"))),
            f"{ON} its answers are not all finite",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_named(network: nn.Module, message: str, data: FederatedData) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        demand_trainable(network, data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda outputs, labels: 1.0, " it gives 1.0; give the mean of the batch"),
        (lambda outputs, labels: outputs.sum(1), r" it gives shape \(4,\)"),
        (lambda outputs, labels: outputs.sum() * torch.nan, " it gives nan"),
        (lambda outputs, labels: outputs.detach().sum(), " no gradient comes back"),
        (lambda outputs: outputs.sum(), r": fails \(TypeError: .*give one that takes logits and class numbers"),
    ],
)
def test_a_loss_that_cannot_judge_is_named(
    loss: Callable[..., torch.Tensor], message: str, data: FederatedData
) -> None:
    with pytest.raises(ConfigError, match=f"^model 'mine', its loss: {ON}{message}"):
        demand_trainable(flat(nn.Linear(64, 2)), data, LocalTraining(), FLOAT32, GivenLoss(loss), "model 'mine'")


@pytest.mark.parametrize("layers", [(nn.Linear(64, 1),), (nn.Linear(64, 1), nn.Flatten(0))], ids=["(n, 1)", "(n,)"])
def test_one_output_is_enough_for_two_classes_and_not_for_three(layers: tuple[nn.Module, ...]) -> None:
    data = {count: divide(source([*range(count)] * 12), Partition(scheme="iid", clients=2), 0) for count in (2, 3)}
    for objective in (CROSS_ENTROPY, GivenLoss(nn.BCEWithLogitsLoss())):
        demand_trainable(flat(*layers), data[2], LocalTraining(), FLOAT32, objective, "model 'mine'")
    with pytest.raises(ConfigError, match=r"it (has 1 outputs; give it one|answers with \(4,\); give logits of shape)"):
        demand_trainable(flat(*layers), data[3], LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Hardtanh(0, 1)], ids=["sigmoid", "cut off"])
@pytest.mark.parametrize("shape", [nn.Identity(), nn.Flatten(0)], ids=["(n, 1)", "(n,)"])
def test_one_output_that_is_a_probability_is_refused(last: nn.Module, shape: nn.Module, data: FederatedData) -> None:
    network, objective = flat(nn.Linear(64, 1), last, shape), GivenLoss(nn.BCELoss())
    with pytest.raises(ConfigError, match=r"^model 'mine': its one output is never outside \[0, 1\]; give the logit"):
        demand_trainable(network, data, LocalTraining(), FLOAT32, objective, "model 'mine'")


def test_a_logit_that_begins_within_0_and_1_is_none(data: FederatedData) -> None:
    for begins in (0.0, 0.5):
        head = nn.Linear(64, 1)
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, begins)
        demand_trainable(flat(head, nn.Flatten(0)), data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")


def test_nothing_is_moved_by_the_trial(data: FederatedData) -> None:
    network = flat(nn.Linear(64, 2), nn.BatchNorm1d(2), nn.Dropout())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.eval()
    state = torch.random.get_rng_state()
    demand_trainable(network, data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_it_is_tried_on_a_batch_as_it_will_be(data: FederatedData) -> None:
    network = flat(nn.Linear(64, 2), nn.BatchNorm1d(2))
    with pytest.raises(ConfigError, match=r"on 1 image of .*: fails .ValueError: Expected more than 1 value"):
        demand_trainable(network, data, LocalTraining(batch_size=1), FLOAT32, CROSS_ENTROPY, "model 'mine'")


def test_more_outputs_than_classes_are_a_class_that_no_client_has(data: FederatedData) -> None:
    demand_trainable(flat(nn.Linear(64, 3)), data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")
    assert np.unique(next(iter(data.clients.values())).train.labels).tolist() == [0, 1]


class Squeezed(nn.Module):
    """Its answer to one image alone has lost the row."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(64, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(images.flatten(1)).squeeze()
        return outputs


def test_one_image_alone_is_tried_too(data: FederatedData) -> None:
    with pytest.raises(ConfigError, match=r"on 1 image of shape \(1, 8, 8\) and 2 classes it answers with \(2,"):
        demand_trainable(Squeezed(2), data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_tried_as_it_is_and_a_copy_of_it_is_named_where_no_step_would_move_it(
    data: FederatedData,
) -> None:
    scripted = torch.jit.script(flat(nn.Linear(64, 2)))
    assert demand_trainable(scripted, data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'") == ()
    with pytest.raises(ConfigError, match=r"^model 'mine': its weight '1.weight' is what a computation gave"):
        demand_trainable(copy.deepcopy(scripted), data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")


class Headed(nn.Module):
    """One head is used, and one is not."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.other, self.frozen = nn.Linear(64, 2), nn.Linear(64, 2), nn.Linear(64, 2).requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.flatten(1)
        with torch.no_grad():
            unused = self.other(rows)
        outputs: torch.Tensor = self.head(rows) + self.frozen(rows) + unused
        return outputs


def test_weights_that_no_gradient_reaches_are_named_and_refused_where_they_are_all(data: FederatedData) -> None:
    unreached = demand_trainable(Headed(), data, LocalTraining(), FLOAT32, CROSS_ENTROPY, "model 'mine'")
    assert unreached == ("other.weight", "other.bias")
    outside = torch.ones((), requires_grad=True)
    loss = GivenLoss(lambda outputs, labels: outputs.detach().sum() * outside)
    with pytest.raises(ConfigError, match=f"^model 'mine': {ON} no gradient reaches its weights; do not detach"):
        demand_trainable(Headed(), data, LocalTraining(), FLOAT32, loss, "model 'mine'")
