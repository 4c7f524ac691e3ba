# SPDX-License-Identifier: MIT
"""What the public face takes where nothing is given, for the command line to take the same; it imports nothing."""

from __future__ import annotations

SEEDS = (0, 1, 2, 3, 4)
"""Of a comparison's trainings."""

REFERENCES = 10
"""Retrainings that a comparison's figures are held against."""

WORKERS = 2
"""Processes of a comparison."""

DRAWS = 5
"""Of the noise of a sweep or a frontier, for each client and size."""

TIMES_ERASED = 3
"""Erasures of each client, to see who is named."""
