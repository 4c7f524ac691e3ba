# SPDX-License-Identifier: MIT
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fedlethe.data.division import divide
from fedlethe.data.federated import SPLITS, FederatedData, LabelledImages
from fedlethe.data.partition import Partition, Scheme
from fedlethe.errors import FedletheError
from tests.data.sources import placed, sizes, source


def test_iid_deals_in_equal_numbers_and_splits_by_class() -> None:
    data = divide(source([0, 1] * 100), Partition(clients=4), seed=0)
    assert list(data.clients) == ["client-0", "client-1", "client-2", "client-3"]
    assert sizes(data) == dict.fromkeys(data.clients, (40, 0, 10))
    assert data.image_shape == (1, 8, 8)
    for one in data.clients.values():
        held = np.bincount(np.concatenate([one.train.labels, one.test.labels]))
        assert abs(np.bincount(one.test.labels) - 0.2 * held).max() < 1


def test_the_test_share_is_stratified_to_the_image() -> None:
    labels = [0] * 80 + [1] * 20  # a fifth of each: 16 and 4
    one = divide(source(labels), Partition(clients=1), seed=5).clients["client-0"]
    assert Counter(one.test.labels.tolist()) == {0: 16, 1: 4}


def test_the_only_image_of_a_class_is_trained_on() -> None:
    labels = [0] * 8 + [1]  # 2.4 test images of class 0 are due, 2 are taken: 0.4 + 0.3 are left for class 1
    one = divide(source(labels), Partition(clients=1, test_fraction=0.3), seed=0).clients["client-0"]
    assert 8 in one.train.indices
    assert one.test.labels.tolist() == [0, 0]


def test_max_examples_keeps_the_classes_in_proportion() -> None:
    labels = [0] * 900 + [1] * 90 + [2] * 10
    data = divide(source(labels), Partition(clients=1, max_examples=50), seed=0)
    one = data.clients["client-0"]
    assert (len(one.train), len(one.test)) == (50, 50)
    counts = np.bincount(one.train.labels)
    assert abs(counts - [45, 4.5, 0.5]).max() <= 1
    assert counts.min() >= 1
    assert data.left_out == {"over max_examples": 900}


def test_clients_can_be_left_out_without_changing_the_others() -> None:
    images = source([0, 1] * 60, sites=["a"] * 40 + ["b"] * 40 + ["c"] * 40, left_out={"blurred": 2})
    whole = divide(images, Partition(), seed=0)
    part = divide(images, Partition(leave_out=("a",)), seed=0)
    assert list(part.clients) == ["b", "c"]
    assert np.array_equal(part.clients["c"].test.indices, whole.clients["c"].test.indices)
    assert part.left_out == {"blurred": 2, "of clients left out": 40}
    with pytest.raises(FedletheError, match="client 'x' is not in this federation"):
        divide(images, Partition(leave_out=("x",)), seed=0)
    with pytest.raises(FedletheError, match="no client would be left"):
        divide(images, Partition(leave_out=("a", "b", "c")), seed=0)


def test_what_is_tested_on_at_one_site_does_not_depend_on_the_others() -> None:
    both = divide(source([0, 1] * 50, sites=["b"] * 50 + ["c"] * 50), Partition(), seed=4)
    more = divide(source([0, 1] * 60, sites=["b"] * 50 + ["c"] * 50 + ["a"] * 20), Partition(), seed=4)
    assert np.array_equal(both.clients["c"].test.indices, more.clients["c"].test.indices)


@pytest.mark.parametrize(
    ("images", "partition", "message"),
    [
        (source([0, 1]), Partition(scheme="site"), "names no sites"),
        (source([0, 1]), Partition(clients=3), "3 clients are more than the 2 images"),
        (source([0, 1]), Partition(scheme="quantity", quantities=(2, 3)), "ask for 5 images, but there are 2"),
        (source([0, 1]), Partition(clients=2), "client 'client-0' has 1 training images, and needs two"),
        (source([0, 1], splits=["train"] * 2), Partition(clients=1), "client 'client-0' has no test images"),
        (source([0, 1] * 5, splits=["test"] * 10), Partition(clients=1), "has 0 training images"),
        (
            source([0, 1] * 10 + [1] * 10, sites=["a"] * 20 + ["b"] * 10),
            Partition(),
            r"client 'b' has training images of one class only \(yes\).*, or set partition\.allow_one_class$",
        ),
    ],
)
def test_clients_that_cannot_take_part_are_refused(images: LabelledImages, partition: Partition, message: str) -> None:
    with pytest.raises(FedletheError, match=message) as raised:
        divide(images, partition, seed=0)
    assert "\n" not in str(raised.value)


def test_one_class_can_be_allowed() -> None:
    images = source([0, 1] * 10 + [1] * 10, sites=["a"] * 20 + ["b"] * 10)
    assert sizes(divide(images, Partition(allow_one_class=True), seed=0))["b"] == (8, 0, 2)


@st.composite
def cases(draw: st.DrawFn) -> tuple[LabelledImages, Partition, int]:
    """Sources with and without groups that cross sites, and every scheme."""
    count = draw(st.integers(20, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    groups = random.integers(0, draw(st.integers(8, 120)), count).astype(str).tolist()
    images = source(
        random.integers(0, 2, count).tolist() if draw(st.booleans()) else [0, 1] * (count // 2) + [0] * (count % 2),
        sites=random.choice(["n", "s", "w"], count).tolist(),
        groups=groups if draw(st.booleans()) else None,
    )
    schemes: tuple[Scheme, ...] = ("site", "iid", "dirichlet", "quantity")
    scheme = draw(st.sampled_from(schemes))
    partition = Partition(
        scheme=scheme,
        clients=draw(st.integers(1, 4)) if scheme in ("iid", "dirichlet") else None,
        alpha=draw(st.sampled_from([0.3, 1.0, 100.0])) if scheme == "dirichlet" else None,
        quantities=(0.3, 0.5) if scheme == "quantity" else (),
        max_examples=draw(st.sampled_from([None, 7])),
        allow_one_class=True,
    )
    return images, partition, draw(st.integers(0, 1000))


def divided(case: tuple[LabelledImages, Partition, int]) -> FederatedData:
    try:
        return divide(*case)
    except FedletheError:
        assume(False)
        raise


@settings(deadline=None)
@given(cases())
def test_every_image_is_in_one_place_and_no_group_in_two_splits(case: tuple[LabelledImages, Partition, int]) -> None:
    images, partition, _ = case
    data = divided(case)
    places = placed(data)
    assert len({index for *_, index in places}) == len(places) == len(images.labels) - sum(data.left_out.values())
    for one in data.clients.values():
        for split in SPLITS:
            assert np.array_equal(one.split(split).labels, images.labels[one.split(split).indices])
    if images.groups is not None:
        splits = {(str(images.groups[index]), split) for _, split, index in places}
        assert len(splits) == len({group for group, _ in splits})
        if partition.scheme != "site":
            owners = {(str(images.groups[index]), client) for client, _, index in places}
            assert len(owners) == len({group for group, _ in owners})


@settings(deadline=None, max_examples=25)
@given(cases())
def test_the_same_seed_gives_the_same_and_draws_elsewhere_do_not_matter(
    case: tuple[LabelledImages, Partition, int],
) -> None:
    first = divided(case)
    np.random.default_rng().random(3)
    assert divide(*case).fingerprint == first.fingerprint
    assert list(first.clients) == sorted(first.clients)


def test_another_seed_gives_another_division() -> None:
    images = source([0, 1] * 100)
    assert divide(images, Partition(), 0).fingerprint != divide(images, Partition(), 1).fingerprint


def test_the_public_images_are_nobodys() -> None:
    images = source([0, 1] * 100, groups=[f"patient {index // 4}" for index in range(200)])
    data = divide(images, Partition(clients=4, scheme="iid", public_fraction=0.1), seed=0)
    assert data.public is not None
    public = set(data.public.indices.tolist())
    assert len(public) == pytest.approx(20, abs=4)
    assert not public & {index for _, _, index in placed(data)}
    assert len(public) + len(placed(data)) == 200
    assert not {index // 4 for index in public} & {index // 4 for _, _, index in placed(data)}  # whole patients
    assert divide(images, Partition(clients=4, scheme="iid"), seed=0).public is None


def test_a_seed_of_its_own_is_one_division_for_runs_of_several_seeds() -> None:
    from fedlethe.config import resolve

    seeds = [resolve({"seed": seed, "partition": {"seed": 5}}).division_seed for seed in (1, 2)]
    assert seeds == [5, 5]
    assert resolve({"seed": 3}).division_seed == 3


@pytest.mark.parametrize(
    ("images", "partition", "said"),
    [
        (source([0, 1] * 50, sites=["b"] * 40 + ["a"] * 60), Partition(clients=3), "clients = 3: the data name their"),
        (
            source([0, 1] * 35, splits=["train"] * 40 + ["test"] * 30),
            Partition(clients=2, test_fraction=0.3),
            "test_fraction = 0.3: the data say which images to test on; leave it out",
        ),
    ],
)
def test_an_option_that_changes_nothing_for_these_images_is_told(
    images: LabelledImages, partition: Partition, said: str
) -> None:
    with pytest.raises(FedletheError, match=f"partition: {said}"):
        divide(images, partition, 0).demand_options_used()


def test_options_that_count_are_not_held_against_anybody() -> None:
    images = source([0, 1] * 50, sites=["b"] * 40 + ["a"] * 60)
    for partition in (Partition(test_fraction=0.3), Partition(scheme="iid", clients=3), Partition()):
        divide(images, partition, 0).demand_options_used()
