# SPDX-License-Identifier: MIT
"""The extension point of the server: an aggregator makes a round's global model of the clients' models.

An aggregator is a frozen dataclass whose fields are its options, with the paper and its equation at the top of the
file. A new one is that file, one test with numbers worked out by hand, and one row in AGGREGATORS (outside this
package: an entry point, or an import path; see docs/extending.md). `testing.check_aggregator` tests it. A small one,
in which every client counts the same:

    @dataclass(frozen=True, kw_only=True)
    class Alike:
        paper: ClassVar[str] = "the plain mean"
        is_mean: ClassVar[bool] = False  # of the models weighted by their numbers of examples

        def aggregate(self, before, models, weights):
            return torch.stack(list(models.values())).mean(dim=0)

It is called through `aggregated`, which holds it to what every aggregator owes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from fedlethe.errors import ConfigError
from fedlethe.federation import aggregate
from fedlethe.later import torch
from fedlethe.outside.deferred import Outside
from fedlethe.outside.plugins import Registry, frozen_dataclass, guarded, lacking, path_of
from fedlethe.text import with_article
from fedlethe.types import ClientId, Vector
from fedlethe.vector import Layout

MEAN = "mean"
"""The aggregator of a run that names none."""


class Aggregator(Protocol):
    """See the module's docstring.

    Attributes:
        paper: Where it comes from, in a few words; a class attribute.
        is_mean: Whether its step is the weighted mean of the clients' deltas, bit for bit as `aggregate.aggregate`
            makes it; a class attribute. Only then is a client's influence, its summed weighted deltas, what it put into
            the model, and may the methods that rest on that be used.
    """

    @property
    def paper(self) -> str:
        """See above."""
        ...

    @property
    def is_mean(self) -> bool:
        """See above."""
        ...

    def aggregate(self, before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
        """The global model after a round.

        Formal guarantees:
            The same models and weights give the same bytes, whoever asks and whenever: a retraining makes them again.

        Args:
            before: w_(t-1), the global model that was sent, shape (P,). Not to be written to.
            models: Each client's model after its local training, shape (P,), finite, at least one, in the order of the
                ids. Not to be written to.
            weights: p_k = n_k / sum of n_j by the same clients: their shares of the examples.

        Returns:
            w_t, shape (P,), float32, finite.
        """
        ...


def undeclared_aggregator(kind: Any) -> str | None:
    """What an aggregator's class lacks, and how it is written; None where nothing is."""
    if not frozen_dataclass(kind):
        return "is no frozen dataclass; write @dataclass(frozen=True, kw_only=True) above its class"
    parts = {
        "paper": 'paper: ClassVar[str] = "where it comes from"',
        "is_mean": "is_mean: ClassVar[bool] = False",
        "aggregate": "def aggregate(self, before, models, weights) -> Vector",
    }
    if (missing := lacking(kind, parts)) is not None:
        return missing
    if not isinstance(kind.paper, str) or not kind.paper.strip():
        return f"its 'paper' says nothing; write: {parts['paper']}"
    if not isinstance(kind.is_mean, bool):
        return f"its 'is_mean' is neither True nor False; write: {parts['is_mean']}"
    return None


AGGREGATORS: Registry[type[Aggregator]] = Registry(
    "aggregator",
    "fedlethe.aggregators",
    {
        MEAN: "fedlethe.federation.weighted_mean:WeightedMean",
        "median": "fedlethe.federation.median:Median",
    },
    undeclared_aggregator,
    """The aggregators, by name: what `fedlethe.train(aggregator=...)` takes, alone or with options.

    A row is a frozen dataclass whose fields are the options. `is_mean` says whether it is the mean weighted by numbers
    of examples, on which most unlearning methods rest. An import path such as 'mylab.robust:Mine' is a key, too, but in
    no list. One of your own is tried with `fedlethe.testing.check_aggregator`.

    Example:
        >>> import fedlethe
        >>> {name: kind.is_mean for name, kind in fedlethe.AGGREGATORS.items()}
        {'mean': True, 'median': False}
    """,
)


@dataclass(frozen=True, kw_only=True)
class OutsideAggregator:
    """An aggregator that does not come with fedlethe.

    Attributes:
        outside: Its class and options.
        recorded: What a run has on record of `is_mean`, so that it can be read without the code; None of a new run.
    """

    outside: Outside[Aggregator]
    recorded: bool | None = None

    @property
    def paper(self) -> str:
        """See `Aggregator.paper`."""
        return str(self.outside.kind.paper)

    @property
    def is_mean(self) -> bool:
        """See `Aggregator.is_mean`."""
        return bool(self.outside.kind.is_mean) if self.recorded is None else self.recorded

    def aggregate(self, before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
        """See `Aggregator.aggregate`."""
        return self.outside.built().aggregate(before, models, weights)


def aggregator_name(aggregator: Aggregator) -> str:
    """What an aggregator is called in messages: its name in the configuration, its row, or its import path."""
    if isinstance(aggregator, OutsideAggregator):
        return aggregator.outside.name
    given: Any = aggregator
    if getattr(given, "is_given", False):
        return str(given.name)
    path = path_of(type(aggregator))
    return next((name for name, row in AGGREGATORS.rows.items() if row == path), path)


def aggregated(
    aggregator: Aggregator,
    layout: Layout,
    before: Vector,
    models: Mapping[ClientId, Vector],
    weights: Mapping[ClientId, float],
) -> Vector:
    """Ask an aggregator for the model after a round, and hold it to what every aggregator owes.

    Formal guarantees:
        Running variances stay positive. A round without a model leaves `before` as it was, whatever the aggregator.

    Args:
        aggregator: The aggregator.
        layout: Of the vectors.
        before: The global model that was sent, shape (P,).
        models: The clients' models, shape (P,), finite, in the order of the ids.
        weights: Their shares.

    Raises:
        ConfigError: It fails, gives what is no model, writes to what it was given, or is not the mean that it says.
    """
    mean = AGGREGATORS.rows[MEAN] == path_of(type(aggregator))
    if mean or not models:  # the sum of finite updates needs no second look, and makes the same bytes as ever
        return aggregate.aggregate(before, models, weights)
    name = f"aggregator '{aggregator_name(aggregator)}'"
    given = {"before": before, **{f"models['{client}']": model for client, model in models.items()}}
    bytes_before = {what: _digest(vector) for what, vector in given.items()}
    right = aggregate.aggregate(before, models, weights) if aggregator.is_mean else None
    after = guarded(
        lambda: aggregator.aggregate(before, dict(models), dict(weights)), name, "correct it, or its options"
    )
    if changed := next((what for what, vector in given.items() if _digest(vector) != bytes_before[what]), None):
        raise ConfigError(f"{name}: writes to {changed}, which is not its own; clone() it before")
    if (problem := _no_model(after, before)) is not None:
        raise ConfigError(f"{name}: {problem}")
    if right is not None and not torch.equal(after, right):
        raise ConfigError(
            f"{name}: says that it is the weighted mean, and gives another model; write: is_mean: ClassVar[bool] = "
            "False, or return fedlethe.federation.aggregate.aggregate(before, models, weights)"
        )
    # A copy: it may be one of the clients' models, and the floor is written in place.
    return layout.floor_variances(after.detach().clone(memory_format=torch.contiguous_format), before)


def demand_repeatable(
    aggregator: Aggregator,
    layout: Layout,
    before: Vector,
    models: Mapping[ClientId, Vector],
    weights: Mapping[ClientId, float],
) -> None:
    """Refuse an aggregator that makes another model of the same models the next time: a retraining would be none.

    Args:
        aggregator: The aggregator.
        layout: See `aggregated`, as the others.
        before: Shape (P,).
        models: Shape (P,) each.
        weights: Their shares.

    Raises:
        ConfigError: It does, or see `aggregated`.
    """
    first = aggregated(aggregator, layout, before, models, weights)
    # A round of other models between the two: what is kept of it must not be seen in the second.
    others = {client: 0.5 * (before + model) for client, model in models.items()}
    aggregated(aggregator, layout, before, others, weights)
    if not torch.equal(first, aggregated(aggregator, layout, before, models, weights)):
        raise ConfigError(
            f"aggregator '{aggregator_name(aggregator)}': makes another model of the same models the next time; draw "
            "nothing by chance and keep nothing between rounds, or a retraining is none"
        )


def _digest(vector: Vector) -> bytes:
    """Of its bytes: what is written through numpy() moves no counter of torch's, and a copy is as large as a model."""
    return sha256(vector.detach().numpy().data).digest()


def _no_model(after: Any, before: Vector) -> str | None:
    """Why what an aggregator gave is no model of the shape of `before`, and what to give; None where it is one."""
    wanted = f"float32 tensor {tuple(before.shape)}"
    if not isinstance(after, torch.Tensor):
        return f"gives {with_article(after)}; return a {wanted}"
    if after.shape != before.shape or after.dtype != before.dtype or after.device != before.device:
        return f"gives shape {tuple(after.shape)}, {after.dtype}, on {after.device}; return a {wanted} on the CPU"
    if not bool(torch.isfinite(after).all()):
        return "gives NaN or infinite values; look at what it divides by, or choose milder options"
    return None
