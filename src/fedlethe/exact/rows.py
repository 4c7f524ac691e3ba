# SPDX-License-Identifier: MIT
"""From a client's features to what it sends: apart from the run, since on Flower it is all that a node needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedlethe.data.federated import Examples
from fedlethe.exact.settings import ExactSettings
from fedlethe.exact.statistics import Statistics, clipped


def rows(examples: Examples, settings: ExactSettings, class_weights: Sequence[float]) -> Statistics:
    """The statistics of some rows, without noise."""
    features = examples.images[examples.indices].reshape(len(examples), math.prod(examples.images.shape[1:]))
    if settings.epsilon is not None:
        features = clipped(features, settings.radius)
    return Statistics.of(features, examples.labels, class_weights)
