# SPDX-License-Identifier: MIT
"""The cache: private, checked by checksum, and emptied of an image in whatever array it lies."""

from __future__ import annotations

import numpy as np
import pytest

from fedlethe.data.federated import LabelledImages
from fedlethe.data.partition import Partition, divide
from fedlethe.errors import FedletheError


def _sites(generator: np.random.Generator, count: int) -> LabelledImages:
    sites = np.array(["a", "b", "c"])[np.arange(count) % 3]
    return LabelledImages(
        images=generator.integers(0, 256, (count, 1, 8, 8)).astype(np.uint8),
        labels=np.arange(count) // 3 % 2,
        classes=("no", "yes"),
        fingerprint="f",
        sites=sites,
        groups=np.array([f"{site}{row // 12}" for row, site in enumerate(sites)]),
    )


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_a_client_are_all_of_its_images_thinned_and_public_ones_too(seed: int) -> None:
    images = _sites(np.random.default_rng(seed), 120)
    assert images.sites is not None
    assert images.groups is not None
    data = divide(images, Partition(max_examples=6, public_fraction=0.2), seed)
    assert data.public is not None
    assert len(data.public)
    assert data.rows_of("b").tolist() == np.flatnonzero(images.sites == "b").tolist()
    assert data.rows_of("b", ["b3"]).tolist() == np.flatnonzero(images.groups == "b3").tolist()
    with pytest.raises(FedletheError, match="patient 'a3' has no image at b"):
        data.rows_of("b", ["a3"])
    with pytest.raises(FedletheError, match="client 'd' is not in this federation"):
        data.rows_of("d")
    simulated = divide(images, Partition(scheme="iid", clients=3, public_fraction=0.2), seed)
    assert simulated.public is not None
    owned = np.concatenate([simulated.rows_of(client) for client in simulated.clients])
    assert sorted([*owned.tolist(), *simulated.public.indices.tolist()]) == list(range(120))
