# SPDX-License-Identifier: MIT
"""The loop of federated training and nothing else: it yields rounds; the caller records, evaluates or stops."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from fedlethe.federation.aggregate import refusal, shares
from fedlethe.federation.aggregator import aggregated
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.federation import Federation
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId, RoundRecord, Update, Vector


def sample_clients(clients: Sequence[ClientId], participation: float, seed: int, round: int) -> tuple[ClientId, ...]:
    """Who takes part in a round: a fraction of the clients (at least one), drawn without replacement.

    Args:
        clients: All clients, in any order.
        participation: The fraction, in (0, 1].
        seed: The run's seed.
        round: Counted from 1.

    Returns:
        The participants, sorted.

    Example:
        >>> sample_clients(["b", "a"], 1.0, seed=0, round=1)
        ('a', 'b')
    """
    count = max(1, round_half_up(participation * len(clients)))
    chosen = numpy_generator(seed, "participation", round).choice(len(clients), count, replace=False)
    ordered = sorted(clients)
    return tuple(ordered[index] for index in sorted(chosen))


def round_half_up(value: float) -> int:
    """The nearest integer, halves upwards."""
    # round() takes halves to the even number: of 5 clients a half would be 2, of 7 it would be 4.
    return int(value + 0.5)


def train(
    federation: Federation,
    model: Vector,
    schedule: Iterable[tuple[int, Sequence[ClientId]]],
    settings: LocalTraining | None = None,
) -> Iterator[RoundRecord]:
    """Rounds of local training, each made into one model by the federation's aggregator.

    By default that is federated averaging, weighted by the clients' numbers of examples (McMahan et al., 2017,
    Algorithm 1).

    An update that is missing, not finite or of another shape is refused, and the round goes on with the others; a
    round in which nothing is accepted leaves the model as it was.

    Args:
        federation: Whose clients train.
        model: The model before the first round of the schedule, shape (P,).
        schedule: Each round's number and participants.
        settings: How clients train; None for the federation's own settings.

    Yields:
        Each round, once it is complete.

    Raises:
        FedletheError: The aggregator gives what is no model (see `aggregated`).
    """
    for round, participants in schedule:
        start = time.perf_counter()
        accepted: dict[ClientId, Update] = {}
        refused: dict[ClientId, str] = {}
        for update in federation.train(model, participants, round=round, settings=settings):
            reason = refusal(update, model)
            if reason is None:
                accepted[update.client] = update
            else:
                refused[update.client] = reason
        # By name, not by arrival: float sums depend on their order, and the same round must give the same bytes.
        updates = {client: accepted[client] for client in sorted(accepted)}
        weights = shares({client: update.num_examples for client, update in updates.items()})
        models = {client: update.model for client, update in updates.items()}
        after = aggregated(federation.aggregator, federation.layout, model, models, weights)
        yield RoundRecord(round, model, after, updates, weights, refused, time.perf_counter() - start)
        model = after
