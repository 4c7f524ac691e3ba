# SPDX-License-Identifier: MIT
"""The networks: each a frozen dataclass whose fields are its options, entered as one row of MODELS."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol

from fedlethe.errors import ConfigError
from fedlethe.later import nn, torch
from fedlethe.outside.deferred import Outside
from fedlethe.outside.plugins import Registry, frozen_dataclass, lacking
from fedlethe.seeding import derive
from fedlethe.text import with_article


class Model(Protocol):
    """A network's options."""

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, from images (N, in_channels, H, W) in [-1, 1] to logits (N, num_classes)."""
        ...


def _problem(kind: Any) -> str | None:
    if inspect.isfunction(kind) or (isinstance(kind, type) and issubclass(kind, nn.Module)):
        return None
    if not frozen_dataclass(kind):
        return (
            "is no model; make it a torch.nn.Module class, a function that returns one, or a frozen dataclass with "
            "build(in_channels, num_classes)"
        )
    return lacking(kind, {"build": "def build(self, in_channels: int, num_classes: int) -> nn.Module"})


HEAD = "head"
"""The network that takes features of a frozen map, and no images."""

MODELS: Registry[type[Model]] = Registry(
    "model",
    "fedlethe.models",
    {
        "efficientnet-lite0": "fedlethe.models.efficientnet_lite0:EfficientNetLite0",
        HEAD: "fedlethe.models.head:Head",
        "resnet18": "fedlethe.models.resnet:ResNet18",
        "resnet50": "fedlethe.models.resnet:ResNet50",
        "small-cnn": "fedlethe.models.small_cnn:SmallCnn",
    },
    _problem,
    """The networks, by name: what `fedlethe.train(model=...)` takes, alone or with options.

    A row is a frozen dataclass whose fields are the options, and whose `build` gives the network. An import path such
    as 'mylab.nets:MyNet' is a key, too, but in no list. One of your own is tried with `fedlethe.testing.check_model`.

    Example:
        >>> import dataclasses, fedlethe
        >>> "resnet18" in fedlethe.MODELS, "mylab.nets:MyNet" in fedlethe.MODELS
        (True, True)
        >>> [option.name for option in dataclasses.fields(fedlethe.MODELS["resnet18"])]
        ['norm', 'weights']
        >>> fedlethe.MODELS["resnet18"](norm="group").build(in_channels=1, num_classes=2).fc.out_features
        2
    """,
)


@dataclass(frozen=True, kw_only=True)
class OutsideModel:
    """A model that does not come with fedlethe.

    Attributes:
        outside: A frozen dataclass with `build`; or a torch.nn.Module class or a function that returns a network,
            called with `in_channels` and `num_classes` where its signature has these names, else with its options
            alone.
    """

    outside: Outside[Model]

    OFFERED = ("in_channels", "num_classes")

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """See `Model.build`.

        Raises:
            FedletheError: Its code is not there, fails, or returns something else.
        """
        if frozen_dataclass(self.outside.kind):
            built = self.outside.built()
            network = self.outside.guarded(lambda: built.build(in_channels, num_classes))
        else:
            network = self.outside.called(in_channels=in_channels, num_classes=num_classes)
        if not isinstance(network, nn.Module):
            raise ConfigError(f"{self.outside.where}: gives {with_article(network)}; return a torch.nn.Module")
        return network


def initialise(model: Model, in_channels: int, num_classes: int, seed: int) -> nn.Module:
    """Build a network whose initial weights depend on the seed alone; global random state is left as it was.

    Raises:
        FedletheError: The model's weights file cannot be used.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initial model"))
        return model.build(in_channels, num_classes)
