# SPDX-License-Identifier: MIT
"""A round as the ledger has it, and back: what each client did, without its model."""

from __future__ import annotations

from fedlethe.history.entries import Participation
from fedlethe.types import RoundRecord, Update, Vector


def participation_of(record: RoundRecord) -> list[Participation]:
    """What a round says of each client: of those whose updates were taken, then of those whose were not."""
    accepted = [
        Participation(
            round=record.round,
            client=client,
            num_examples=update.num_examples,
            weight=record.weights[client],
            examples_processed=update.examples_processed,
            steps=update.steps,
            loss=update.loss,
        )
        for client, update in record.updates.items()
    ]
    refused = [Participation(record.round, client, refused=reason) for client, reason in record.refused.items()]
    return accepted + refused


def update_entered(entry: Participation, before: Vector, delta: Vector) -> Update:
    """The update that an entry is of.

    Args:
        entry: Of a client whose update was taken.
        before: The model that the client was sent, shape (P,).
        delta: What it changed, shape (P,).
    """
    return Update(
        client=entry.client,
        model=before + delta,
        num_examples=entry.num_examples or 0,
        examples_processed=entry.examples_processed or 0,
        steps=entry.steps or 0,
        loss=entry.loss or 0.0,
    )
