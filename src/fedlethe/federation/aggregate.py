# SPDX-License-Identifier: MIT
"""Federated averaging (McMahan et al., 2017, Algorithm 1), and what an update must be to enter it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fedlethe.later import torch
from fedlethe.types import ClientId, RoundRecord, Update, Vector


def refusal(update: Update, before: Vector) -> str | None:
    """Why an update cannot be averaged; None if it can.

    Args:
        update: A client's update.
        before: The global model it was sent, shape (P,).
    """
    if update.problem is not None:
        return update.problem
    if update.model.shape != before.shape or update.model.dtype != before.dtype:
        return (
            f"its model has shape {tuple(update.model.shape)}, {update.model.dtype}, not {tuple(before.shape)}, float32"
        )
    if not all(map(torch.isfinite, torch.aminmax(update.model))):  # NaN is both; one pass, without a mask as large
        return "its model holds NaN or infinite values"
    if update.num_examples < 1:
        return f"it counts {update.num_examples} examples"
    return None


def shares(num_examples: Mapping[ClientId, int]) -> dict[ClientId, float]:
    """p_k = n_k / sum of n_j, in the order of the client ids; they sum to 1."""
    total = sum(num_examples.values())
    return {client: num_examples[client] / total for client in sorted(num_examples)}


def contribution(model: Vector, before: Vector, weight: float) -> Vector:
    """p_k x delta_k: what one client's update adds to the global model, shape (P,)."""
    return (model - before).mul_(weight)


def add_contributions(sums: dict[ClientId, Vector], record: RoundRecord, is_mean: bool) -> None:
    """Add to each client's sum, shape (P,), what its update added to the global model in a round.

    Args:
        sums: Client to its sum so far.
        record: The round.
        is_mean: See `Aggregator.is_mean`: of another aggregator's round nobody knows who added what, and nothing is.
    """
    for client, update in record.updates.items() if is_mean else ():
        added = contribution(update.model, record.before, record.weights[client])
        sums[client] = sums[client] + added if client in sums else added


def aggregate(before: Vector, models: Mapping[ClientId, Vector], weights: Mapping[ClientId, float]) -> Vector:
    """w_t = w_(t-1) + sum over k of p_k x delta_k, added in the order of the client ids.

    Args:
        before: w_(t-1), shape (P,).
        models: Each client's model after its local training, shape (P,).
        weights: p_k by the same clients.

    Returns:
        w_t, shape (P,); equal to `before` where there are no models.
    """
    return advance(before, ((client, models[client] - before) for client in sorted(models)), weights)


def advance(before: Vector, deltas: Iterable[tuple[ClientId, Vector]], weights: Mapping[ClientId, float]) -> Vector:
    """`aggregate` from the clients' deltas, shape (P,), bit for bit where they come in the order of the client ids."""
    step = torch.zeros_like(before)
    for client, delta in deltas:
        step += delta * weights[client]
    return before + step
