# SPDX-License-Identifier: MIT
"""The kit finds what is wrong with a network, and lets a sound one pass."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.errors import FedletheError
from fedlethe.models import MODELS
from fedlethe.testing import check_model


class Net(nn.Module):
    """A linear layer on the mean of each channel."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(in_channels, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(images.mean((2, 3)))
        return answer


class Classes(Net):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).argmax(1)


class Whole(Net):
    """Centres by the batch's mean, in eval mode, too."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images - images.mean())


class InPlace(Net):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.mul_(2))


class Detached(Net):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).detach()


class Hidden(Net):
    """A scale that is no buffer, and that training moves."""

    scale = 1.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.scale += 0.5 if self.training else 0.0
        return super().forward(images) * self.scale


class Chance(Net):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.last.weight.data.mul_(float(np.random.default_rng().random()))


class Frozen(Net):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.requires_grad_(False)


class Pair(Net):
    def forward(self, images: torch.Tensor) -> Any:
        return super().forward(images), images


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> Any:
        return self.last(images.flatten(1))


class Raises(Net):
    def __init__(self) -> None:
        raise OSError("no weights")


class Lazy(Net):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.more = nn.LazyLinear(3)


class Half(Net):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.half()


class Double(Net):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.double()


class Exits(Net):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise SystemExit(4)


def made(num_classes: int) -> nn.Module:
    """A function that does not ask for the channels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))


def probability() -> nn.Module:
    """One output, after a sigmoid."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Sigmoid())


@pytest.mark.parametrize("name", MODELS)
def test_ours_pass(name: str) -> None:
    check_model(MODELS[name](), image_shape=(3, 32, 32), num_classes=3)


def test_a_class_and_a_function_pass() -> None:
    check_model(Net, image_shape=(3, 8, 8), num_classes=4)
    check_model(made, image_shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Classes, r"Classes: answers with \(4,\); give logits of shape \(4, 2\)"),
        (Pair, "Pair: answers with tuple; give logits"),
        (Whole, "Whole: in eval mode its answer to an image depends on"),
        (InPlace, "InPlace: writes to the images"),
        (probability, r"probability: its one output is never outside \[0, 1\]; give the logit of class 1"),
        (Detached, "Detached: a gradient step does not move it"),
        (Hidden, "Hidden: has state that is in no parameter and no float buffer"),
        (Chance, "Chance: starts from other weights each time"),
        (Frozen, "Frozen: none of its weights takes a gradient"),
        (Narrow, r"Narrow: fails \(RuntimeError: .*\); give a network that fits the images and classes"),
        (Raises, r"Raises: fails \(OSError: no weights, .*\); correct it, or its options"),
        (Lazy, r"^tests.testing.test_models:Lazy: some weights have no shape yet \(a Lazy module\)"),
        (Half, r"Half: has weights in torch.float16; make them float32: network.float\(\)"),
        (Double, "Double: has weights in torch.float64; make them float32"),
        (Exits, r"Exits: fails \(SystemExit: 4, .*\); give a network"),
        (nn.Linear(64, 2), "^check_model: a network was given; give its class, or a function that makes one$"),
        (None, r"^check_model: None was given; give an instance, such as MODELS\['small-cnn'\]\(\), or a torch"),
        ("small-cnn", "^check_model: the str 'small-cnn' was given; give an instance, such as MODELS"),
        (5, "^check_model: the int 5 was given"),
        (partial(Net, depth=3), r"functools:partial: fails \(TypeError"),  # type: ignore[call-arg]
        (nn.Identity, "Identity: has no weights"),
        (dict, "dict: gives a dict; return a torch.nn.Module"),
    ],
)
def test_what_is_wrong_is_found(model: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=words) as raised:
        check_model(model, image_shape=(1, 8, 8))
    assert "\n" not in str(raised.value)


def test_a_shape_that_is_none_is_told() -> None:
    with pytest.raises(FedletheError, match=r"^check_model: image_shape \(8, 8\): give \(channels, height, width\)$"):
        check_model(Net, image_shape=(8, 8))  # type: ignore[arg-type]
