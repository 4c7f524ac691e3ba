# SPDX-License-Identifier: MIT
"""Brings pixel values to eight bits, band by band."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]

BAND = 1 << 20
"""Pixels that are brought to eight bits at a time: no copy of a whole image is made in floats."""


def bands(shape: tuple[int, ...]) -> list[slice]:
    """The rows of an image in bands of about BAND pixels."""
    step = max(1, BAND // max(1, math.prod(shape[1:])))
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def windowed(values: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """`low` to 0, `high` to 255, linear between and clipped outside."""
    if high <= low:
        return np.multiply(values > low, 255, dtype=np.uint8)
    shown = np.empty(values.shape, np.uint8)
    for part in bands(values.shape):
        scaled = (values[part].astype(np.float64) - low) * 255.0 / (high - low)
        shown[part] = np.rint(np.clip(scaled, 0.0, 255.0))
    return shown
