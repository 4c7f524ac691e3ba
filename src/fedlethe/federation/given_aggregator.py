# SPDX-License-Identifier: MIT
"""An aggregator that was handed over from Python: by its import path, where that leads back to it, or as it is."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import tomlkit

from fedlethe.document import Document, construct, plain
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.aggregate import shares
from fedlethe.federation.aggregator import AGGREGATORS, Aggregator, aggregator_name, undeclared_aggregator
from fedlethe.later import torch
from fedlethe.models.given import differing, facts_of
from fedlethe.outside.plugins import GIVEN, IN_PYTHON, path_of, reason
from fedlethe.outside.source_file import SourceFile
from fedlethe.seeding import torch_generator
from fedlethe.text import with_article
from fedlethe.types import ClientId, Vector

FACT = "aggregator"
"""What a run keeps to know it again, among what it keeps of a network and a loss that were handed over."""

MADE_UP = 24
"""Weights of each model of the rounds that it is asked about."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenAggregator:
    """An aggregator whose class no command could import.

    Attributes:
        is_mean: See `Aggregator.is_mean`; kept in run.toml, so that a run can be read without it.
        aggregator: It; None where a run is read without it.
    """

    is_mean: bool
    aggregator: Aggregator | None = None

    is_given = True

    @classmethod
    def of(cls, given: Any) -> GivenAggregator:
        """A copy of an aggregator, so that what the program goes on doing with its own changes no training.

        Raises:
            ConfigError: It is none, or cannot be copied.
        """
        if isinstance(given, type):
            raise ConfigError(f"aggregator: the class {given.__name__} was given; give an instance, {given.__name__}()")
        if isinstance(given, (str, Mapping)):  # one that has a name is no part of what is handed over
            raise ConfigError(f"aggregator: {with_article(given)} was given; give an instance, or {{'name': ...}}")
        if (problem := undeclared_aggregator(type(given))) is not None:
            raise ConfigError(f"aggregator {type(given).__name__}: {problem}")
        try:
            return cls(is_mean=given.is_mean, aggregator=copy.deepcopy(given))
        except Exception as error:
            message = f"aggregator: cannot be copied ({reason(error)}); give what copy.deepcopy takes"
            raise ConfigError(message) from error

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return GIVEN if self.aggregator is None else path_of(type(self.aggregator))

    @property
    def paper(self) -> str:
        """See `Aggregator.paper`."""
        return self._inner.paper

    @property
    def options(self) -> Document:
        """What its table in run.toml has."""
        return {"is_mean": self.is_mean}

    def aggregate(self, before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
        """See `Aggregator.aggregate`.

        Raises:
            ConfigError: It is not at hand.
        """
        return self._inner.aggregate(before, models, weights)

    def facts(self, clients: Collection[ClientId]) -> dict[str, str]:
        """What a run keeps, to know it again: a digest of its class's code and of how it prints, options included.

        A function that its class calls is in neither, so it is asked, too: for the steps of made-up rounds.

        Args:
            clients: All of the run's, whose models are made up.
        """
        if self.aggregator is None:
            return {}
        return facts_of(FACT, self.aggregator, partial(_steps, self.aggregator, sorted(clients)))

    def demand(self, known: Mapping[str, str], clients: Collection[ClientId], where: str) -> None:
        """Refuse another aggregator than a run was trained with; of a run that is read without it, nothing.

        Args:
            known: What the run keeps (see `facts`).
            clients: All of the run's.
            where: Names the run.

        Raises:
            ConfigError: Its code, its options or its answers differ.
        """
        if differing(self.facts(clients), known):
            raise ConfigError(
                f"{where}: was trained with another aggregator; hand over the one that it was trained with, with its "
                "options, its code and what that calls as they were"
            )

    @property
    def _inner(self) -> Aggregator:
        if self.aggregator is None:
            raise ConfigError(f"the run's aggregator was {IN_PYTHON}")
        return self.aggregator


def _steps(aggregator: Aggregator, clients: Collection[ClientId]) -> torch.Tensor:
    """What it makes of models that lie near each other, apart and far apart, less the model before: shape (3, P)."""
    asked, generator = copy.deepcopy(aggregator), torch_generator(0, "an aggregator's questions")
    weights = shares({client: index + 1 for index, client in enumerate(clients)})
    found = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for apart in (0.01, 1.0, 100.0):
            before = torch.rand(MADE_UP, generator=generator)
            models = {client: before + apart * torch.randn(MADE_UP, generator=generator) for client in clients}
            found.append(asked.aggregate(before.clone(), models, dict(weights)) - before)
    return torch.stack(found)


def table_of(given: Aggregator) -> Document | None:
    """The table [aggregator] that makes the same aggregator again, in any process; None where there is no such table.

    Example:
        >>> from fedlethe.federation.median import Median
        >>> table_of(Median())
        {'name': 'median'}
    """
    kind, name = type(given), aggregator_name(given)
    if kind.__module__ in ("__main__", "__mp_main__"):  # another process has another one
        return None
    try:
        options = plain(given)
        tomlkit.dumps(options)
        SourceFile.of(name, kind)
        same = AGGREGATORS[name] is kind and construct(kind, options, name) == given
    except (FedletheError, TypeError, ValueError):
        return None
    return {"name": name, **options} if same else None
