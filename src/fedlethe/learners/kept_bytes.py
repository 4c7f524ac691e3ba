# SPDX-License-Identifier: MIT
"""What the history of a federated averaging takes on disk, worked out from what a method declares."""

from __future__ import annotations

from fedlethe.types import Need


def bytes_for(needs: frozenset[Need], size: int, tensors: int, clients: int, rounds: int) -> int:
    """What a history for these needs takes, where all clients join all rounds: float32, the final model with it.

    Args:
        needs: What a method declares; the initial model is kept for every one.
        size: Numbers in a model.
        tensors: Of a model.
        clients: How many.
        rounds: How many.

    Raises:
        KeyError: It is not said here what a need takes, so that nothing is taken for free.
    """
    numbers = {
        Need.INITIAL: size,
        Need.INFLUENCE: size * clients,
        Need.NORMS: tensors * clients * rounds,
        Need.FIRST_DELTAS: size * clients,
        Need.DELTAS: size * clients * rounds,
        Need.GLOBALS: size * rounds,
    }
    kept = {need for need in needs if need.of_history} | {Need.INITIAL}
    return 4 * (size + sum(numbers[need] for need in kept))
