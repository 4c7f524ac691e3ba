# SPDX-License-Identifier: MIT
"""The kit finds what is wrong with a network, and lets a sound one pass."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fedlethe.errors import ConfigError, FedletheError
from fedlethe.models import HEAD, MODELS
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
    # A head takes rows of numbers; images would be as many numbers as it has no weights for.
    check_model(MODELS[name](), image_shape=(3,) if name == HEAD else (3, 32, 32), num_classes=3)


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


class Rows(nn.Module):
    """Takes rows of figures."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(6, num_classes)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(rows)
        return answer


class Series(nn.Module):
    """Takes a series of several channels."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(in_channels, 4, 3), nn.Linear(4, num_classes)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.first(series).mean(2))
        return answer


class Tokens(nn.Module):
    """Takes words by their numbers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(2, 4), nn.Linear(4, num_classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.words(tokens).mean(1))
        return answer


def test_inputs_of_another_kind_are_asked_for_by_their_shape_and_type() -> None:
    check_model(Rows, image_shape=(6,))
    check_model(Series, image_shape=[3, 8], num_classes=3)
    check_model(Tokens, image_shape=torch.Size([5]), dtype=torch.int64)
    with pytest.raises(FedletheError, match=r":Rows: fails \(RuntimeError: mat1 and mat2 .*; give a network that fits"):
        check_model(Rows, image_shape=(5,))
    with pytest.raises(FedletheError, match=r":Tokens: fails \(RuntimeError: Expected tensor for argument #1"):
        check_model(Tokens, image_shape=(5,))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_passes() -> None:
    def scripted(num_classes: int) -> Any:
        return torch.jit.script(Rows(num_classes))

    check_model(scripted, image_shape=(6,))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"image_shape": 6}, "image_shape 6: give the sizes of one image, (channels, height, width), or of one input"),
        ({"image_shape": ()}, "image_shape (): give the sizes"),
        ({"image_shape": (1, 0, 8)}, "image_shape (1, 0, 8): give the sizes"),
        ({"image_shape": "123"}, "image_shape '123': give the sizes"),
        ({"num_classes": "2"}, "num_classes '2': give a whole number"),
        ({"num_classes": 0}, "num_classes 0: give a whole number"),
        ({"dtype": torch.uint8}, "dtype torch.uint8: give torch.float32, as images and other floats reach a network"),
        ({"dtype": "int64"}, "dtype 'int64': give torch.float32"),
    ],
)
def test_a_question_that_is_none_is_told(question: dict[str, Any], words: str) -> None:
    with pytest.raises(FedletheError) as raised:
        check_model(Net, **question)
    assert str(raised.value).startswith(f"check_model: {words}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("classes", [0, 1, True, 2.0, "2"])
def test_fewer_than_two_classes_are_none(classes: Any) -> None:
    with pytest.raises(ConfigError, match=r"check_model: num_classes .*: give a whole number, 2 at least"):
        check_model(Net, image_shape=(3, 8, 8), num_classes=classes)
