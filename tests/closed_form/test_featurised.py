# SPDX-License-Identifier: MIT
"""Frozen feature maps, and features in the place of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fedlethe.closed_form.features import (
    FeatureMap,
    Projected,
    ScatteringFeatures,
)
from fedlethe.closed_form.featurised import cached_features, featurise
from fedlethe.closed_form.scattering import Scattering
from fedlethe.data.federated import SPLITS, ClientData, Examples, FederatedData, normalise


def federation(channels: int = 1, size: int = 16) -> FederatedData:
    images = np.random.default_rng(0).integers(0, 256, (30, channels, size, size), dtype=np.uint8)
    labels = np.arange(30) % 2

    def examples(indices: list[int]) -> Examples:
        chosen = np.array(indices, dtype=np.int64)
        return Examples(images, chosen, labels[chosen], np.array([f"p{index // 2}" for index in indices]))

    clients = {
        "a": ClientData(examples([5, 1, 9]), examples([]), examples([2, 3])),
        "b": ClientData(examples(list(range(10, 25))), examples([26]), examples([27, 28])),
    }
    return FederatedData(
        clients=clients, classes=("no", "yes"), image_shape=(channels, size, size), source_fingerprint="x"
    )


SMALL = ScatteringFeatures(scales=2, angles=4)


def test_features_stand_where_the_images_stood(cache: Path) -> None:
    data = federation()
    found = featurise(data, SMALL)
    scattering = Scattering(size=16, scales=2, angles=4)
    assert found.image_shape == (scattering.maps * 16, 1, 1)
    for client in "ab":
        for split in ("train", "validation", "test"):
            before, after = data.clients[client].split(split), found.clients[client].split(split)
            np.testing.assert_array_equal(after.labels, before.labels)
            assert after.groups is not None
            np.testing.assert_array_equal(after.groups, before.groups)
            if len(before):
                expected = scattering(normalise(before.batch(np.arange(len(before)))[0])[:, 0]).flatten(1)
                torch.testing.assert_close(normalise(after.batch(np.arange(len(after)))[0]).flatten(1), expected)


def test_they_are_made_once_and_a_clients_can_be_deleted_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = federation()
    first = featurise(data, SMALL)
    files = {path.name for path in (cache / "features").glob("*.npy")}
    assert len(files) == 5  # two clients, three splits, one of them empty
    (cache / "features").chmod(0o500)
    again = featurise(data, SMALL)  # nothing is written
    assert again.fingerprint == first.fingerprint
    (cache / "features").chmod(0o700)
    gone = cached_features(data.clients["a"].train, SMALL.key())
    assert gone.name in files
    gone.unlink()
    featurise(data, SMALL)
    assert {path.name for path in (cache / "features").glob("*.npy")} == files


def test_other_images_or_maps_have_other_names(cache: Path) -> None:
    data = federation()
    train = data.clients["a"].train
    changed = train.images.copy()
    changed[1, 0, 0, 0] ^= 1
    maps: list[FeatureMap] = [SMALL, ScatteringFeatures(scales=2), Projected(inner=SMALL, dimension=5)]
    names = {cached_features(train, one.key()) for one in maps}
    names.add(cached_features(Examples(changed, train.indices, train.labels), SMALL.key()))
    names.add(cached_features(Examples(train.images, train.indices[::-1], train.labels), SMALL.key()))
    assert len(names) == 5
    assert len({featurise(data, one).fingerprint for one in maps}) == 3


def test_a_federation_whose_images_are_elsewhere_has_features_of_the_same_size(cache: Path) -> None:
    data = federation()
    there = featurise(replace(data, clients={}), SMALL)
    assert there.image_shape == featurise(data, SMALL).image_shape
    assert not there.clients


def test_only_features_that_are_not_cached_are_work_that_is_left(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, totals, steps = federation(), list[int](), list[int]()

    @contextmanager
    def counted(description: str, total: int) -> Iterator[Callable[[], None]]:
        totals.append(total)
        steps.append(0)

        def advance() -> None:
            steps[-1] += 1

        yield advance

    monkeypatch.setattr("fedlethe.closed_form.featurised.bar", counted)
    featurise(replace(data, clients={"a": data.clients["a"]}), SMALL)
    featurise(data, SMALL)
    featurise(data, SMALL)
    own = {client: sum(len(held.split(split)) for split in SPLITS) for client, held in data.clients.items()}
    assert totals == steps == [own["a"], own["b"], 0]
