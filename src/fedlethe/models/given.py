# SPDX-License-Identifier: MIT
"""A network, and a loss, that were handed over from Python, and have no name that a file could hold."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from fedlethe.errors import ConfigError
from fedlethe.later import nn, torch
from fedlethe.plugins import IN_PYTHON

Loss: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
"""From outputs, float32, shape (b, classes), and labels, int64, shape (b,), to the mean loss of the batch, a scalar."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenModel:
    """A network with the weights that it was given with; every training without it begins from these, too.

    Attributes:
        network: It; None where a run is read without it.
        loss: What clients descend; None for cross-entropy.
    """

    network: nn.Module | None = None
    loss: Loss | None = None

    is_given = True

    def facts(self) -> dict[str, str]:
        """What a run keeps, to know them again: digests of the network's structure and code, and of the loss's code."""
        if self.network is None:
            return {}
        kinds = {type(module) for module in self.network.modules()}
        code = sorted(_code(kind) for kind in kinds if not kind.__module__.startswith("torch."))
        return {
            "network": _digest(repr(self.network), *code),
            "loss": "" if self.loss is None else _digest(_code(self.loss)),
        }

    def demand(self, known: Mapping[str, str], where: str) -> None:
        """Refuse another network or loss than a run was trained with; of a run that is read without them, nothing.

        Args:
            known: What the run keeps (see `facts`).
            where: Names the run.

        Raises:
            ConfigError: The structure or the code differs.
        """
        for what, digest in self.facts().items():
            if digest != known.get(what, digest):
                lacking = what == "loss" and not digest
                hand = "hand it over: loss=..." if lacking else "hand over the one that it was trained with"
                raise ConfigError(f"{where}: was trained with {'a' if lacking else 'another'} {what}; {hand}")

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """A copy of the network.

        Raises:
            FedletheError: It is not at hand.
        """
        if self.network is None:
            raise ConfigError(f"the run's network was {IN_PYTHON}")
        return copy.deepcopy(self.network)


def _code(thing: object) -> str:
    """The source of a class or function as far as Python knows it; of an object its class's, and how it prints."""
    kind = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    shown = "" if kind is thing else repr(thing)
    try:
        return inspect.getsource(kind) + shown
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}{shown}"


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
