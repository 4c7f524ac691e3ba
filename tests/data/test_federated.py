# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedlethe.data.division import divide
from fedlethe.data.federated import (
    UNLABELLED,
    ClientData,
    Examples,
    FederatedData,
    LabelledImages,
    normalise,
)
from fedlethe.data.partition import Partition
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


def _examples(rows: list[int], groups: list[str] | None = None) -> Examples:
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1).repeat(4, axis=2)
    labels = np.asarray([row % 2 for row in rows], dtype=np.int64)
    return Examples(images, np.asarray(rows, dtype=np.int64), labels, None if groups is None else np.asarray(groups))


def _two_clients(groups: bool = True) -> FederatedData:
    def client(*rows: int) -> ClientData:
        train = list(rows[:3])
        return ClientData(
            _examples(train, [f"p{row // 2}" for row in train] if groups else None),
            _examples([], [] if groups else None),
            _examples([rows[3]], [f"p{rows[3] // 2}"] if groups else None),
        )

    return FederatedData(
        clients={"a": client(0, 1, 2, 3), "b": client(4, 5, 6, 7)},
        classes=("even", "odd"),
        image_shape=(1, 4, 1),
        source_fingerprint="f",
    )


def test_batches_are_the_examples_in_their_order() -> None:
    examples = _examples([5, 2, 7, 0, 1])
    held = list(examples.batches(2))
    assert [len(images) for images, _ in held] == [2, 2, 1]
    assert torch.cat([images for images, _ in held])[:, 0, 0, 0].tolist() == [5, 2, 7, 0, 1]
    assert torch.cat([labels for _, labels in held]).tolist() == [1, 0, 1, 0, 1]
    chosen = examples.only(np.asarray([False, True, True, False, False]))
    assert (chosen.indices.tolist(), chosen.labels.tolist()) == ([2, 7], [0, 1])
    assert Examples.unlabelled(examples.images).labels.tolist() == [UNLABELLED] * 8


def test_images_are_brought_to_minus_one_to_one_and_features_stay() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert normalise(images).tolist() == pytest.approx([-1.0, -0.6, 1.0])
    assert images.tolist() == [0, 51, 255]
    features = torch.tensor([3.5, -9.0])
    assert normalise(features) is features


def test_the_fingerprint_is_of_who_holds_what_in_which_split() -> None:
    data, prints = _two_clients(), set()
    prints.add(data.fingerprint)
    swapped = ClientData(data.clients["a"].test, data.clients["a"].validation, data.clients["a"].train)
    for other in (
        replace(data, clients={**data.clients, "a": swapped}),
        replace(data, clients={"a": data.clients["b"], "b": data.clients["a"]}),
        replace(data, source_fingerprint="g"),
        replace(data, public=_examples([1])),
        data.without(["b"]),
    ):
        prints.add(other.fingerprint)
    assert len(prints) == 6
    assert replace(data).fingerprint == data.fingerprint


def test_a_client_that_is_gone_cannot_be_reached() -> None:
    data = _two_clients()
    assert list(data.without(["a"]).clients) == ["b"]
    assert list(data.clients) == ["a", "b"]
    with pytest.raises(FedletheError, match="client 'c' is not in this federation; its clients are a, b"):
        data.without(["a", "c"])
    with pytest.raises(FedletheError, match="a, b: no client would be left"):
        data.without(["a", "b"])


def test_a_patient_goes_from_every_split_of_its_client() -> None:
    data = _two_clients()
    left = data.without_patients("b", ["p3"])  # rows 6 (train) and 7 (test)
    assert left.clients["b"].train.indices.tolist() == [4, 5]
    assert len(left.clients["b"].test) == 0
    assert left.clients["a"] is data.clients["a"]
    for patients, message in (
        (["p0"], "patient 'p0' has no image at b"),
        (["p2"], "client 'b' has no other patients"),  # one training image would be left
    ):
        with pytest.raises(FedletheError, match=message):
            data.without_patients("b", patients)
    with pytest.raises(FedletheError, match="the data name no patients"):
        _two_clients(groups=False).without_patients("a", ["p0"])
