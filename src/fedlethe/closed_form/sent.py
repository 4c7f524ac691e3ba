# SPDX-License-Identifier: MIT
"""From a client's features to what it sends: apart from the run, since on Flower it is all that a node needs."""

from __future__ import annotations

import math
import secrets

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.statistics import clipped
from fedlethe.data.federated import Examples
from fedlethe.privacy.noise import SECRET_BYTES, Noise, SecretNoise
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId


def noise_of(settings: ClosedFormSettings, client: ClientId) -> Noise:
    """Where noise comes from: the operating system, or a seed, for a simulation that is to be reproduced."""
    if settings.noise_seed is None:
        return SecretNoise(secrets.token_bytes(SECRET_BYTES), "statistics")
    return numpy_generator(settings.noise_seed, "statistics", client)


def rows(examples: Examples, settings: ClosedFormSettings, classes: int) -> ByClass:
    """The statistics of some rows, without noise."""
    features = examples.images[examples.indices].reshape(len(examples), math.prod(examples.images.shape[1:]))
    # The noise is made for rows of this length. Without noise clipping would change the answer and protect nobody.
    if settings.epsilon is not None:
        features = clipped(features, settings.radius)
    return ByClass.of(features, examples.labels, classes)
