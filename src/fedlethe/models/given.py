# SPDX-License-Identifier: MIT
"""A network, and a loss, that were handed over from Python, and have no name that a file could hold."""

from __future__ import annotations

import copy
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias

from fedlethe.errors import ConfigError
from fedlethe.later import nn, torch
from fedlethe.models import MODELS
from fedlethe.outside.plugins import IN_PYTHON, path_of, reason
from fedlethe.text import with_article
from fedlethe.types import Vector
from fedlethe.vector import Layout, copied, load_vector

Loss: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
"""From outputs, float32, shape (b, classes), and labels, int64, shape (b,), to the mean loss of the batch, a scalar.

Of a network with one output, shape (b, 1) or (b,), the labels are float32 of that shape.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenModel:
    """A network, and a loss.

    Attributes:
        network: The network, with the weights that trainings begin from; None where a run is read without it.
        loss: What clients descend; None for cross-entropy.
    """

    network: nn.Module | None = None
    loss: Loss | None = None

    is_given = True

    @classmethod
    def of(cls, network: Any, loss: Any) -> GivenModel:
        """Copies of a network and a loss, so that what the program goes on doing with its own changes no training.

        Raises:
            ConfigError: One of them is of another kind, or cannot be copied.
        """
        if (name := _name_of_maker(network)) is not None:
            raise ConfigError(
                f"model: {name} makes networks and is none; give its name, with its options if any, "
                f"{{'name': '{name}'}}, or the network that its build(in_channels, num_classes) makes"
            )
        for what, given, kind in (
            ("model", network, "a torch.nn.Module, or a model's name"),
            ("loss", loss, "a function"),
        ):
            if isinstance(given, type) and (what == "loss" or issubclass(given, nn.Module)):
                raise ConfigError(f"{what}: the class {given.__name__} was given; give an instance, {given.__name__}()")
            if given is not None and not (isinstance(given, nn.Module) if what == "model" else callable(given)):
                # A name comes here of a run that is opened alone: `train` makes a table of it.
                if what == "model" and isinstance(given, str):
                    kind = "the network itself, or nothing where the run's model has a name"
                shown = f"the class {given.__name__}" if isinstance(given, type) else with_article(given)
                raise ConfigError(f"{what}: has {shown}; give {kind}")
        try:
            return cls(network=None if network is None else copied(network), loss=copy.deepcopy(loss))
        except Exception as error:
            message = f"model: it, or its loss, cannot be copied ({reason(error)}); give what copy.deepcopy takes"
            raise ConfigError(message) from error

    def starting_with(self, model: Vector, layout: Layout) -> GivenModel:
        """The same with other weights, shape (P,): those that a run began from, in whatever state it is handed over."""
        if self.network is None:
            return self
        network = copied(self.network)
        load_vector(network, layout, model)
        return replace(self, network=network)

    def facts(self, shape: Sequence[int], classes: int) -> dict[str, str]:
        """What a run keeps, to know them again: digests of structure and code, and answers to fixed questions.

        Code alone does not tell settings that neither it nor what it prints shows, so both are asked, too: the network,
        with fixed weights, for its outputs on fixed inputs, and the loss for its value and gradient on fixed outputs.

        Args:
            shape: Of one example.
            classes: How many outputs a loss is asked about.
        """
        if self.network is None:
            return {}
        kinds = {type(module) for module in self.network.modules()}
        own = [kind for kind in kinds if not kind.__module__.startswith("torch.")]
        facts = {
            "network": _digest(repr(self.network), *sorted(map(_code, own))),
            **_answered("network", own, partial(_answers, self.network, shape)),
        }
        if self.loss is None:
            return {**facts, "loss": ""}
        return facts | facts_of("loss", self.loss, partial(_judged, self.loss, classes))

    def demand(self, known: Mapping[str, str], shape: Sequence[int], classes: int, where: str) -> None:
        """Refuse another network or loss than a run was trained with; of a run that is read without them, nothing.

        Args:
            known: What the run keeps (see `facts`).
            shape: See `facts`.
            classes: See `facts`.
            where: Names the run.

        Raises:
            ConfigError: The structure, the code or the answers differ.
        """
        facts = self.facts(shape, classes)
        for name in differing(facts, known):
            what, lacking = name.partition("_")[0], name == "loss" and not facts[name]
            hand = "hand it over: loss=..." if lacking else "hand over the one that it was trained with"
            raise ConfigError(f"{where}: was trained with {'a' if lacking else 'another'} {what}; {hand}")

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """A copy of the network.

        Raises:
            FedletheError: It is not at hand.
        """
        if self.network is None:
            raise ConfigError(f"the run's network was {IN_PYTHON}")
        return copied(self.network)


def _name_of_maker(given: Any) -> str | None:
    """The name of a row of MODELS, or what could be one, where it was given in a network's place; else None."""
    kind = given if isinstance(given, type) else type(given)
    if issubclass(kind, nn.Module) or not hasattr(kind, "build"):
        return None
    return next((row for row, path in MODELS.rows.items() if path == path_of(kind)), path_of(kind))


ANSWERS, SOURCE = "_answers", "_source"
"""What the name of a part is followed by, in the names of what is known of it beside the digest of its code."""

NOT_FOUND = "not found"
"""What stands under SOURCE where Python finds no source of a part, or not of all of it; else nothing does."""


def facts_of(part: str, thing: object, ask: Callable[[], torch.Tensor]) -> dict[str, str]:
    """What a run keeps of a function, or an object, that was handed over, to know it again (see `GivenModel.facts`).

    Args:
        part: What it is: 'loss'.
        thing: It.
        ask: Asks it fixed questions; gives the answers, in any shape.
    """
    return {part: _digest(_code(thing)), **_answered(part, [_kind(thing)], ask)}


def differing(facts: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """The names of facts that a run knows otherwise.

    What could not be asked then is known by its code alone; what could be, and now cannot, is another.

    Args:
        facts: Of what is handed over now (see `facts_of`).
        known: What the run keeps.
    """
    besides = (ANSWERS, SOURCE)  # a source that is found now, and was not, makes another digest
    asked = {name for name in facts if known.get(name) or not name.endswith(besides)}
    return [name for name in facts if name in asked and not _alike(facts[name], known.get(name, ""))]


def _answered(part: str, kinds: Iterable[object], ask: Callable[[], torch.Tensor]) -> dict[str, str]:
    """The answers of a part, and whether there is source of all that it is of."""
    missing = {} if all(map(_has_source, kinds)) else {f"{part}{SOURCE}": NOT_FOUND}
    return {f"{part}{ANSWERS}": _asked(ask), **missing}


def _kind(thing: object) -> Any:
    return thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)


def _has_source(kind: Any) -> bool:
    try:
        return bool(inspect.getsource(kind))
    except (OSError, TypeError):
        return False


def _code(thing: object) -> str:
    """The source of a class or function as far as Python knows it; of an object its class's, and how it prints."""
    kind = _kind(thing)
    shown = "" if kind is thing else re.sub(r" at 0x[0-9a-f]+", "", repr(thing))  # where it lies is no part of it
    return (inspect.getsource(kind) if _has_source(kind) else f"{kind.__module__}.{kind.__qualname__}") + shown


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()


def _answers(network: nn.Module, shape: Sequence[int]) -> torch.Tensor:
    """The mean outputs of a copy with fixed weights on fixed inputs, as it evaluates and as it trains."""
    held, found = copy.deepcopy(network).cpu(), []
    buffers = {name for name, _ in held.named_buffers()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for name, tensor in held.state_dict().items():
            if tensor.is_floating_point():  # of a buffer above 0, since some are variances
                tensor.copy_(torch.rand_like(tensor) * 0.4 + (0.1 if name in buffers else -0.2))
        inputs = torch.rand((4, *shape)) * 2 - 1
        for mode in (False, True):
            held.train(mode)
            found += [_answer(held, inputs * size).float().mean(dim=0).flatten() for size in (1, 10)]
    return torch.cat(found)


def _answer(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What a network puts out; one that takes no floats is asked with zeros and ones, which every vocabulary has."""
    try:
        outputs: torch.Tensor = network(inputs)
    except (RuntimeError, IndexError):
        outputs = network((inputs > 0).long())
    return outputs


def _judged(loss: Loss, classes: int) -> torch.Tensor:
    """A loss of fixed outputs and labels, and the size of its gradient for each class, small outputs and large."""
    count = max(8, 2 * classes)
    small = torch.linspace(-2, 2, count * classes).reshape(count, classes).sin()
    leaf = torch.cat([small, 20 * small]).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        value = _value(copy.deepcopy(loss), leaf * 1.0, torch.arange(2 * count) % classes)
        (gradient,) = torch.autograd.grad(value, leaf)
    return torch.cat([value.detach().reshape(1), gradient.abs().sum(dim=0)])


def _value(loss: Loss, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A loss's value; one that takes no class numbers is asked as it is of a network with one output."""
    try:
        return loss(outputs, labels)
    except (RuntimeError, ValueError):
        return loss(outputs[:, :1], (labels % 2).to(outputs.dtype)[:, None])


def _asked(ask: Callable[[], torch.Tensor]) -> str:
    """The answers, asked twice; none where they are not the same twice, or the question cannot be put."""
    try:
        first, second = _figures(ask()), _figures(ask())
    except Exception:  # whatever somebody else's code raises at a made-up question, it may work at a real one
        return ""
    return first if first == second else ""


def _figures(values: torch.Tensor) -> str:
    return " ".join(f"{value:.5g}" for value in values.flatten().tolist())


def _alike(one: str, other: str) -> bool:
    """Whether two facts are the same; figures may differ as sums do from machine to machine."""
    if one == other:
        return True  # not numbers, too, where both are none
    pairs = list(zip(one.split(), other.split(), strict=False))
    try:
        figures = [(float(a), float(b)) for a, b in pairs]
    except ValueError:
        return one == other
    return len(one.split()) == len(other.split()) and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5) for a, b in figures
    )
