# SPDX-License-Identifier: MIT
"""The retrainings that an erased model is held against: which seeds they have."""

from __future__ import annotations

from fedlethe.config import RunConfig
from fedlethe.seeding import derive


def reference_seeds(config: RunConfig, count: int) -> tuple[int, ...]:
    """Seeds of retrainings that no training of the run has; the first ones stay the same where more are asked for.

    They follow from the seed of the division, so that runs of one division are held against the same retrainings.
    """
    return tuple(derive(config.division_seed, "reference", number) % 2**31 for number in range(count))
