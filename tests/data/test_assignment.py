# SPDX-License-Identifier: MIT
import numpy as np
import pytest

from fedlethe.data.division import divide
from fedlethe.data.partition import Partition
from fedlethe.errors import FedletheError
from tests.data.sources import placed, sizes, source


def test_iid_deals_at_random() -> None:
    data = divide(source([0] * 200 + [1] * 200), Partition(clients=4), seed=0)
    for one in data.clients.values():
        assert 0.3 < one.train.labels.mean() < 0.7
        assert np.ptp(one.train.indices) > 350


def test_by_site_is_the_choice_where_there_are_sites() -> None:
    data = divide(source([0, 1] * 50, sites=["b"] * 40 + ["a.1"] * 60), Partition(test_fraction=0.25), seed=0)
    assert sizes(data) == {"a.1": (45, 0, 15), "b": (30, 0, 10)}
    assert data.clients["b"].train.indices.max() < 40
    pooled = divide(source([0, 1] * 50, sites=["b"] * 40 + ["a"] * 60), Partition(scheme="iid"), seed=0)
    assert len(pooled.clients) == 5


def test_official_splits_are_kept_and_each_is_divided() -> None:
    splits = ["train"] * 40 + ["validation"] * 10 + ["test"] * 20
    data = divide(source([0, 1] * 35, splits=splits), Partition(clients=2), seed=0)
    assert sizes(data) == {"client-0": (20, 5, 10), "client-1": (20, 5, 10)}
    assert all(splits[index] == split for _, split, index in placed(data))


def test_a_group_in_two_official_splits_is_refused() -> None:
    with pytest.raises(FedletheError, match=r"p7: its images lie in two splits \(test and train\)"):
        divide(source([0, 1], groups=["p7", "p7"], splits=["train", "test"]), Partition(clients=1), seed=0)


@pytest.mark.parametrize(
    ("quantities", "expected", "left"),
    [((0.5, 0.25), [100, 50], 50), ((20, 60), [20, 60], 120), ((0.1, 0.9), [20, 180], 0)],
)
def test_quantities_are_shares_or_numbers(quantities: tuple[float, ...], expected: list[int], left: int) -> None:
    partition = Partition(scheme="quantity", quantities=quantities)
    data = divide(source([0, 1] * 100), partition, seed=0)
    assert [sum(size) for size in sizes(data).values()] == expected
    assert data.left_out == ({"dealt to no client": left} if left else {})


def test_a_small_alpha_makes_clients_differ_and_a_large_one_does_not() -> None:
    def spread(alpha: float) -> float:
        data = divide(source([0, 1] * 1000), Partition(scheme="dirichlet", alpha=alpha, clients=4), seed=1)
        return float(np.ptp([one.train.labels.mean() for one in data.clients.values()]))

    assert spread(1000.0) < 0.1 < spread(0.3)


def test_dirichlet_proportions_hold_in_every_official_split() -> None:
    splits = ["train"] * 2000 + ["test"] * 1000
    data = divide(source([0, 1] * 1500, splits=splits), Partition(scheme="dirichlet", clients=3), seed=2)
    for one in data.clients.values():
        for label in (0, 1):
            train, test = (one.train.labels == label).sum() / 1000, (one.test.labels == label).sum() / 500
            assert train == pytest.approx(test, abs=0.002)


def test_dirichlet_gives_up_after_a_while() -> None:
    with pytest.raises(FedletheError, match=r"client 'client-\d' has .*raise alpha = 0.01"):
        divide(source([0, 1] * 10), Partition(scheme="dirichlet", alpha=0.01, clients=8), seed=0)


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "..", "été", "a b", "x\n"])
def test_a_site_that_cannot_name_a_folder_is_refused(name: str) -> None:
    with pytest.raises(FedletheError, match="must be letters, digits"):
        divide(source([0, 1] * 10, sites=[name] * 20), Partition(), seed=0)


def test_the_public_images_are_of_the_official_training_split() -> None:
    images = source([0, 1] * 100, splits=(["train"] * 3 + ["test"]) * 50)
    data = divide(images, Partition(clients=2, public_fraction=0.2), seed=0)
    assert data.public is not None
    assert all(index % 4 != 3 for index in data.public.indices.tolist())
