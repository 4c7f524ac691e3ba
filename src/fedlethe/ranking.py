# SPDX-License-Identifier: MIT
"""How well scores tell two groups apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def auc(positive: Floats, negative: Floats) -> float:
    """The chance that a positive's score lies above a negative's, ties counting half (Mann and Whitney, 1947).

    It is the area under the ROC curve.

    Args:
        positive: Scores, shape (n,), n >= 1.
        negative: Scores, shape (m,), m >= 1.

    Example:
        >>> auc(np.array([1.0, 2.0]), np.array([0.0, 2.0]))
        0.625
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))
