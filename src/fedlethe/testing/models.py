# SPDX-License-Identifier: MIT
"""What every network owes, checked on a handful of images, or of inputs of another kind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.objective import logits_of
from fedlethe.federation.trial import demand_logits
from fedlethe.models import Model, initialise
from fedlethe.outside.deferred import parameters
from fedlethe.outside.plugins import guarded, path_of
from fedlethe.seeding import torch_generator
from fedlethe.testing.instances import demand_instance, sizes
from fedlethe.text import with_article
from fedlethe.vector import Layout, load_vector, to_vector

REMEDY = "give a network that fits the images and classes"


def check_model(
    model: Model | Callable[..., nn.Module],
    image_shape: Sequence[int] = (1, 32, 32),
    num_classes: int = 2,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Check a network as MODELS and `--model` take it.

    Formal guarantees:
        What passes answers images (n, C, H, W) in [-1, 1], or inputs (n, ...) of the shape and type that are asked for,
        with finite logits (n, num_classes), or (n, 1) of two classes, each image by itself;
        starts from weights that the seed alone decides; has all of its state in the vector that clients exchange; and
        is moved by a gradient step.

    Args:
        model: An object with `build(in_channels, num_classes)`; or a torch.nn.Module class or a function that returns a
            network, called with these two where its signature has the names.
        image_shape: (C, H, W) of the images; or the shape of one input of another kind, such as (6,). The first size is
            the `in_channels` that the network is built for.
        num_classes: How many classes.
        dtype: As such inputs reach a network: torch.float32; or, for whole numbers such as tokens, torch.int64, of
            which it is asked with zeros and ones, which every vocabulary has.

    Raises:
        ConfigError: It breaks one of these; one line names it and says what to do.

    Example:
        >>> from fedlethe.models import MODELS
        >>> check_model(MODELS["small-cnn"]())
    """
    if isinstance(model, nn.Module):
        raise ConfigError("check_model: a network was given; give its class, or a function that makes one")
    if not callable(model) and not hasattr(model, "build"):
        demand_instance("check_model", model, "MODELS['small-cnn'](), or a torch.nn.Module's class")
    if isinstance(model, type) and not issubclass(model, nn.Module) and hasattr(model, "build"):
        demand_instance("check_model", model, f"{model.__name__}(), with its options")
    _demand_question(image_shape, num_classes, dtype)
    held = model if not isinstance(model, type) and hasattr(model, "build") else _Called(model)
    own = isinstance(held, _Called) and hasattr(model, "__qualname__")  # a partial, say, has no name
    name = path_of(model if own else type(model))
    # Twice, for the checks below: weights and state that the seed does not decide show as a difference.
    network, again = (_built(held, image_shape[0], num_classes, name) for _ in range(2))
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{name}: gives {with_article(network)}; return a torch.nn.Module")
    layout = _layout(network, name)
    if not layout.size:
        raise ConfigError(f"{name}: has no weights; register them as parameters")
    # Of the network as it was built: the checks that follow move it.
    first = to_vector(network, layout)
    if not torch.equal(first, to_vector(again, layout)):
        raise ConfigError(f"{name}: starts from other weights each time; draw them by torch's generator alone")
    images = torch.rand((4, *image_shape), generator=torch_generator(0, "check_model")) * 2 - 1
    images = (images > 0).long() if dtype == torch.int64 else images
    guarded(lambda: _check_answers(network, images, num_classes, name), name, REMEDY)
    guarded(lambda: _check_step(network, layout, images, name), name, REMEDY)
    guarded(lambda: _check_state(network, again, layout, images, name), name, REMEDY)


def _demand_question(image_shape: Any, num_classes: Any, dtype: Any) -> None:
    if not sizes(image_shape):
        raise ConfigError(
            f"check_model: image_shape {image_shape!r}: give the sizes of one image, (channels, height, width), or of "
            "one input of another kind, such as (6,)"
        )
    if not sizes([num_classes]) or num_classes < 2:
        raise ConfigError(f"check_model: num_classes {num_classes!r}: give a whole number, 2 at least")
    if dtype not in (torch.float32, torch.int64):
        raise ConfigError(
            f"check_model: dtype {dtype!r}: give torch.float32, as images and other floats reach a network, or "
            "torch.int64, as whole numbers do"
        )


def _built(model: Model, in_channels: int, num_classes: int, name: str) -> nn.Module:
    return guarded(lambda: initialise(model, in_channels, num_classes, seed=0), name, "correct it, or its options")


def _layout(network: nn.Module, name: str) -> Layout:
    try:
        layout = Layout.of(network)
    except FedletheError as error:
        raise ConfigError(f"{name}: {str(error).removeprefix('model: ')}") from None
    odd = next((one.dtype for one in network.parameters() if one.dtype != torch.float32), None)
    if odd is not None:
        raise ConfigError(f"{name}: has weights in {odd}; make them float32: network.float()")
    return layout


@dataclass(frozen=True)
class _Called:
    """A class or function as a Model."""

    function: Any

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """See `Model.build`."""
        taken = parameters(self.function)
        offered = {"in_channels": in_channels, "num_classes": num_classes}
        network: nn.Module = self.function(**{name: value for name, value in offered.items() if name in taken})
        return network


def _answers(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    network.eval()
    with torch.no_grad():  # TorchScript that was trained cannot answer in inference mode
        answers: torch.Tensor = network(images)
    return answers


def _check_answers(network: nn.Module, images: torch.Tensor, num_classes: int, name: str) -> None:
    before = images.clone()
    answers = _answers(network, images)
    if isinstance(answers, torch.Tensor) and num_classes == 2 and answers.is_floating_point():
        answers = logits_of(answers)
    if not isinstance(answers, torch.Tensor) or answers.shape != (len(images), num_classes):
        shape = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise ConfigError(f"{name}: answers with {shape}; give logits of shape ({len(images)}, {num_classes})")
    if not answers.is_floating_point() or not bool(torch.isfinite(answers).all()):
        raise ConfigError(f"{name}: its answers are not all finite floats; give logits, not classes")
    tried = copy.deepcopy(network)
    demand_logits(tried, lambda: _answers(tried, images), num_classes, name)
    if not torch.equal(images, before):
        raise ConfigError(f"{name}: writes to the images that it is given; clone() them, or leave inplace out")
    alone = torch.cat([logits_of(_answers(network, image[None])) for image in images])
    if not torch.allclose(alone, answers, atol=1e-4, rtol=1e-4):
        raise ConfigError(
            f"{name}: in eval mode its answer to an image depends on chance, or on the other images; use "
            "batch norm and dropout as torch.nn has them"
        )


def _check_step(network: nn.Module, layout: Layout, images: torch.Tensor, name: str) -> None:
    before = to_vector(network, layout)
    network.train()
    labels = torch.zeros(len(images), dtype=torch.int64)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trainable:
        raise ConfigError(f"{name}: none of its weights takes a gradient; leave requires_grad as it is")
    loss = functional.cross_entropy(logits_of(network(images)), labels)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD(trainable, lr=0.1).step()
    if torch.equal(to_vector(network, layout), before):
        raise ConfigError(f"{name}: a gradient step does not move it; do not detach() on the way to the answers")


def _check_state(network: nn.Module, other: nn.Module, layout: Layout, images: torch.Tensor, name: str) -> None:
    """What clients exchange is the vector: a network that it is loaded into must answer alike."""
    load_vector(other, layout, to_vector(network, layout))
    if not torch.allclose(_answers(other, images), _answers(network, images), atol=1e-5, rtol=1e-5):
        raise ConfigError(
            f"{name}: has state that is in no parameter and no float buffer; register it, or clients cannot exchange it"
        )
