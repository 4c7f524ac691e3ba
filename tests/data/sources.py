# SPDX-License-Identifier: MIT
"""Sources of blank images, and where a division puts each of them."""

from typing import Any

import numpy as np

from fedlethe.data.federated import SPLITS, FederatedData, LabelledImages


def source(
    labels: list[int],
    *,
    sites: list[str] | None = None,
    groups: list[str] | None = None,
    splits: list[str] | None = None,
    **other: Any,
) -> LabelledImages:
    return LabelledImages(
        images=np.zeros((len(labels), 1, 8, 8), np.uint8),
        labels=np.asarray(labels, dtype=np.int64),
        classes=("no", "yes", "maybe")[: max(labels) + 1],
        fingerprint="f",
        sites=None if sites is None else np.asarray(sites),
        groups=None if groups is None else np.asarray(groups),
        splits=None if splits is None else np.asarray(splits),
        **other,
    )


def sizes(data: FederatedData) -> dict[str, tuple[int, ...]]:
    return {name: tuple(len(one.split(split)) for split in SPLITS) for name, one in data.clients.items()}


def placed(data: FederatedData) -> list[tuple[str, str, int]]:
    """(client, split, image) for every image that someone has."""
    return [
        (name, split, index)
        for name, one in data.clients.items()
        for split in SPLITS
        for index in one.split(split).indices.tolist()
    ]
