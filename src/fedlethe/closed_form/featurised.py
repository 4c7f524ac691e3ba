# SPDX-License-Identifier: MIT
"""A federation's images as features of a frozen map, through the cache folder.

There is one file for each client and split, so that a client's features can be deleted with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.closed_form.features import FeatureMap, ImageShape, Transform
from fedlethe.data.cache import cache_place, cached_array, digest, origins
from fedlethe.data.federated import SPLITS, ClientData, Examples, FederatedData, normalise
from fedlethe.errors import DataError
from fedlethe.later import torch
from fedlethe.progress import bar

ROWS_AT_ONCE = 128
"""Images that are worked on together: what bounds the memory."""


def featurise(data: FederatedData, feature_map: FeatureMap) -> FederatedData:
    """The same federation, features in the place of its images.

    Args:
        data: Images.
        feature_map: What makes features of them.

    Returns:
        Clients whose examples are float32, shape (n, d, 1, 1); labels, splits and groups as they were.

    Raises:
        FedletheError: The map does not take these images, or the cache folder cannot be written.
    """
    if not data.are_images:
        raise DataError(
            f"features: a map takes images (C, H, W), and an example has shape {data.image_shape}; train a network on "
            "the inputs as they are (learner 'fedavg', no features), or give them as images"
        )
    key, transform = feature_map.key(), feature_map.prepare(data.image_shape)
    size = transform(torch.zeros(1, *data.image_shape)).shape[1]
    places = {
        (client, split): cached_features(held.split(split), key)
        for client, held in data.clients.items()
        for split in SPLITS
    }
    # Those that are cached are there at once, and are no part of what is left to do.
    left = sum(len(data.clients[client].split(split)) for (client, split), at in places.items() if not at.exists())
    with bar("features, images", left) as advance:
        clients = {
            client: ClientData(
                *(
                    _features(held.split(split), places[client, split], key, size, transform, advance)
                    for split in SPLITS
                )
            )
            for client, held in data.clients.items()
        }
    return replace(
        data,
        clients=clients,
        image_shape=(size, 1, 1),
        source_fingerprint=digest(data.fingerprint, key),
        public=None,
    )


def features_of(examples: Examples, feature_map: FeatureMap, shape: ImageShape) -> Examples:
    """Examples of images of a shape (C, H, W) as `featurise` has them."""
    transform = feature_map.prepare(shape)
    size = transform(torch.zeros(1, *shape)).shape[1]
    key = feature_map.key()
    return _features(examples, cached_features(examples, key), key, size, transform, lambda: None)


def _features(
    examples: Examples, place: Path, key: str, size: int, transform: Transform, advance: Callable[[], None]
) -> Examples:
    if not len(examples):
        return replace(examples, images=np.zeros((0, size, 1, 1), np.float32))

    def made() -> Iterator[npt.NDArray[Any]]:
        with torch.inference_mode():  # nothing is trained: no graph is kept of a large network
            for images, _ in examples.batches(ROWS_AT_ONCE):
                yield transform(normalise(images)).numpy()
                for _ in range(len(images)):
                    advance()

    array = cached_array(
        place,
        (len(examples), size),
        np.float32,
        made,
        source=key,
        rows=lambda: origins(examples.images, examples.indices),
    )
    return Examples(
        array.reshape(len(examples), size, 1, 1), np.arange(len(examples)), examples.labels, examples.groups
    )


def cached_features(examples: Examples, key: str) -> Path:
    """Where features are cached, if they are: named by the map's key, and the images' bytes in their order."""
    # By the images' own bytes, not by the file that they came from: erased images are blank, and have other features.
    content = hashlib.sha256(key.encode())
    for start in range(0, len(examples), 1024):
        content.update(examples.images[examples.indices[start : start + 1024]].tobytes())
    return cache_place("features", f"{content.hexdigest()[:40]}.npy")
