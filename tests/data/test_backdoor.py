# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest

from fedlethe.data.backdoor import Backdoor
from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.errors import FedletheError


@pytest.fixture
def data() -> FederatedData:
    """Two clients, ten images of 14 x 14 each to train and to test on, classes in turn, no pixel above 100."""
    clients = {}
    for number, name in enumerate(("a", "b")):
        images = np.random.default_rng(number).integers(0, 100, (20, 1, 14, 14), dtype=np.uint8)
        train, test = (Examples(images, np.arange(first, first + 10), np.arange(10) % 2) for first in (0, 10))
        clients[name] = ClientData(train, test, test)
    return FederatedData(clients=clients, classes=("0", "1"), image_shape=(1, 14, 14), source_fingerprint="before")


def _images(examples: Examples) -> np.ndarray:
    return np.asarray(examples.images[examples.indices])


def test_the_trigger_is_a_white_square_in_the_corner() -> None:
    images = np.zeros((2, 1, 14, 14), np.uint8)
    stamped = Backdoor(client="b").stamp(images)
    assert stamped[:, :, -2:, -2:].min() == 255  # 14 / 7
    assert stamped.sum() == 2 * 4 * 255
    assert images.sum() == 0
    assert Backdoor(client="b", size=3).stamp(images).sum() == 2 * 9 * 255


def test_a_share_of_the_clients_training_images_carries_it_and_nothing_else_moves(data: FederatedData) -> None:
    planted = Backdoor(client="b", fraction=0.3, target=1).plant(data, seed=0)
    held, before = planted.clients["b"], data.clients["b"]
    carrying = (_images(held.train)[:, :, -2:, -2:] == 255).all(axis=(1, 2, 3))
    assert carrying.sum() == 3
    assert (held.train.labels[carrying] == 1).all()
    np.testing.assert_array_equal(_images(held.train)[~carrying], _images(before.train)[~carrying])
    np.testing.assert_array_equal(held.train.labels[~carrying], before.train.labels[~carrying])
    np.testing.assert_array_equal(_images(held.train)[:, :, :-2], _images(before.train)[:, :, :-2])
    assert held.test is before.test
    assert planted.clients["a"] is data.clients["a"]
    assert (_images(before.train) < 100).all()  # what was read is as it was
    assert planted.fingerprint != data.fingerprint


def test_the_seed_draws_which(data: FederatedData) -> None:
    backdoor = Backdoor(client="b", fraction=0.3)
    one, again, other = (_images(backdoor.plant(data, seed).clients["b"].train) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_success_is_measured_on_the_test_images_of_other_classes(data: FederatedData) -> None:
    triggered = Backdoor(client="b", target=1).triggered(data)
    assert len(triggered) == 10
    assert set(triggered.labels.tolist()) == {0}
    pictures = _images(triggered)
    assert (pictures[:, :, -2:, -2:] == 255).all()
    for client, five in (("a", pictures[:5]), ("b", pictures[5:])):
        held = data.clients[client].test
        np.testing.assert_array_equal(five[:, :, :-2], _images(held)[held.labels == 0][:, :, :-2])


def test_what_is_not_there_is_named(data: FederatedData) -> None:
    with pytest.raises(FedletheError, match=r"backdoor: .*'z'"):
        Backdoor(client="z").plant(data, 0)
    with pytest.raises(FedletheError, match="no class 2; there are 2"):
        Backdoor(client="b", target=2).plant(data, 0)


@pytest.mark.parametrize("options", [{"fraction": 0.0}, {"fraction": 1.5}, {"target": -1}, {"size": 0}])
def test_options_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Backdoor(client="b", **options)  # type: ignore[arg-type]
