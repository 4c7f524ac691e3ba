# SPDX-License-Identifier: MIT
"""What is left of a model in a SuperLink's record."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def slices(path: Path, content: bytes) -> int:
    """How many of 200 sampled slices of 16 bytes lie in the record or its logs."""
    held = b"".join(Path(f"{path}{ending}").read_bytes() for ending in ("", "-wal") if Path(f"{path}{ending}").exists())
    starts = np.random.default_rng(1).integers(0, len(content) - 16, 200)
    return sum(content[start : start + 16] in held for start in starts)
