# SPDX-License-Identifier: MIT
"""Divides a source among clients, and each client's images into training and test images.

A group (patient, lesion) goes whole to one simulated client, and never lies in two splits, not even where it occurs
at two sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fedlethe.data.assignment import (
    DRAWS,
    TEST,
    TRAIN,
    Assignment,
    Groups,
    drawn_assignments,
    groups_of,
    is_by_site,
    public_groups,
    without_public,
)
from fedlethe.data.federated import (
    SPLITS,
    UNLABELLED,
    ClientData,
    Examples,
    FederatedData,
    LabelledImages,
    Labels,
    Names,
)
from fedlethe.data.partition import Partition
from fedlethe.errors import DataError
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId


def divide(images: LabelledImages, partition: Partition, seed: int) -> FederatedData:
    """Divide the images among clients and splits.

    Formal guarantees:
        Every image is in at most one client and split. No group is in two splits, nor in two simulated clients.
        The outcome depends on the images, the partition and the seed alone; which of a site's groups are tested on
        does not depend on what other sites hold, as long as they share no group.

    Edge cases:
        "dirichlet" draws again (at most 200 times) until every client can train and be tested, so the proportions
        follow the Dirichlet distribution on that condition. A group at two sites is split as one of the site that
        holds most of it.

    Args:
        images: What a source has read.
        partition: How to divide.
        seed: Draws the division.

    Returns:
        The clients: named by their sites, or `client-0`, `client-1`, ...

    Raises:
        FedletheError: The source has no sites to divide by, a site's name cannot name a folder, a group lies in two
            official splits, there are more clients than images, or a client has fewer than two training images, no
            test image, or training images of one class only.
    """
    groups, problem = groups_of(images), ""
    public = public_groups(groups, partition, seed)
    # Public groups are drawn before the clients: which these are does not depend on how often proportions are drawn.
    for everybody in drawn_assignments(images, groups, partition, seed):
        assignment = without_public(everybody, groups, public)
        splits = _splits(groups, assignment, partition, seed)
        dealt = _indices(groups, assignment, splits)
        clients = {
            name: _client_data(images, name, indices, partition, seed)
            for name, indices in dealt.items()
            if name not in partition.leave_out
        }
        problem = _problem(clients, images.classes, partition)
        if not problem:
            return FederatedData(
                clients=clients,
                classes=images.classes,
                image_shape=_image_shape(images),
                source_fingerprint=images.fingerprint,
                left_out={**images.left_out, **_left_out(images, dealt, clients, int(public[groups.of].sum()))},
                public=_public_examples(images, np.flatnonzero(public[groups.of])),
                owners=_owners(everybody if is_by_site(images, partition) else assignment),
                groups=images.groups,
                without_effect=_without_effect(images, partition),
            )
    raise DataError(problem)


def _without_effect(images: LabelledImages, partition: Partition) -> str:
    """The option that changes nothing for these images, and why; empty where each one that was given counts."""
    if partition.clients is not None and is_by_site(images, partition):
        return (
            f"clients = {partition.clients}: the data name their sites, and each is a client; leave it out, or set the "
            'scheme to "iid" or "dirichlet"'
        )
    if partition.test_fraction is not None and images.splits is not None:
        return f"test_fraction = {partition.test_fraction:g}: the data say which images to test on; leave it out"
    return ""


def _owners(assignment: Assignment) -> Names:
    """Whose each image is, shape (N,): at a site's also those that are public; '' for nobody's."""
    names: Names = np.asarray([*assignment.names, ""])[assignment.clients]
    return names


def _public_examples(images: LabelledImages, indices: Labels) -> Examples | None:
    return Examples(images.images, indices, np.full(len(indices), UNLABELLED)) if len(indices) else None


def _splits(groups: Groups, assignment: Assignment, partition: Partition, seed: int) -> Labels:
    """The split of each group, shape (G,): the official one, or else test for a share of each client's each class."""
    if groups.splits is not None:
        return groups.splits
    splits = np.full(len(groups.sizes), TRAIN, dtype=np.int64)
    for client, name in enumerate(assignment.names):
        due = 0.0  # test images still to be found; what one class falls short by, the next makes up for
        for label in range(groups.labels.max() + 1):
            members = np.flatnonzero((assignment.home == client) & (groups.labels == label))
            # A generator for each client and class: what one site holds does not move another's test images.
            order = numpy_generator(seed, "partition", "test", name, label).permutation(members)
            middles = np.cumsum(groups.sizes[order]) - groups.sizes[order] / 2
            due += partition.share_to_test * int(groups.sizes[members].sum())
            held_out = order[:-1][middles[:-1] < due]  # one group at least is left to train on
            splits[held_out] = TEST
            due -= int(groups.sizes[held_out].sum())
    return splits


def _indices(groups: Groups, assignment: Assignment, splits: Labels) -> dict[ClientId, list[Labels]]:
    """Each client's images, by split in the order of SPLITS."""
    of_images = splits[groups.of]
    return {
        name: [np.flatnonzero((assignment.clients == client) & (of_images == split)) for split in range(len(SPLITS))]
        for client, name in enumerate(assignment.names)
    }


def _client_data(
    images: LabelledImages, name: ClientId, indices: Sequence[Labels], partition: Partition, seed: int
) -> ClientData:
    def examples(split: int) -> Examples:
        kept = indices[split]
        if partition.max_examples is not None and len(kept) > partition.max_examples:
            generator = numpy_generator(seed, "partition", "max_examples", name, split)
            kept = np.sort(_thinned(kept, images.labels[kept], partition.max_examples, generator))
        groups = None if images.groups is None else images.groups[kept]
        return Examples(images.images, kept, images.labels[kept], groups)

    train, validation, test = (examples(split) for split in range(len(SPLITS)))
    return ClientData(train, validation, test)


def _thinned(indices: Labels, labels: Labels, count: int, generator: np.random.Generator) -> Labels:
    """`count` of the indices at random, by class in proportion, and one at least of each class while they suffice."""
    order = generator.permutation(len(indices))
    # Each image's place within its class, from 0 to 1: the smallest places are a share of every class, its first at 0.
    place = np.zeros(len(indices))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = np.arange(len(members)) / len(members)
    return indices[np.argsort(place, kind="stable")[:count]]


def _problem(clients: Mapping[ClientId, ClientData], classes: Sequence[str], partition: Partition) -> str:
    """What keeps a client from taking part, in one line; empty if nothing does."""
    remedy = "divide in another way, add data, or leave the client out (leave_out)"
    if partition.scheme == "dirichlet":
        remedy = f"(after {DRAWS} draws) raise alpha = {partition.concentration:g}, simulate fewer clients or add data"
    if not clients:
        return "leave_out: no client would be left; keep at least one"
    for name, data in clients.items():
        if len(data.train) < 2:
            return f"client '{name}' has {len(data.train)} training images, and needs two; {remedy}"
        if not len(data.test):
            return f"client '{name}' has no test images; {remedy}"
        if len(set(data.train.labels.tolist())) < 2 and not partition.allow_one_class:
            only = classes[data.train.labels[0]]
            remedy += ", or set partition.allow_one_class"
            return f"client '{name}' has training images of one class only ({only}); {remedy}"
    return ""


def _left_out(
    images: LabelledImages,
    dealt: Mapping[ClientId, Sequence[Labels]],
    clients: Mapping[ClientId, ClientData],
    public: int,
) -> dict[str, int]:
    """Reason to the number of images that no client has, where there are any."""
    given = {name: sum(len(indices) for indices in splits) for name, splits in dealt.items()}
    held = sum(len(data.split(split)) for data in clients.values() for split in SPLITS)
    counts = {
        "dealt to no client": len(images.labels) - sum(given.values()) - public,
        "of clients left out": sum(count for name, count in given.items() if name not in clients),
        "over max_examples": sum(given[name] for name in clients) - held,
    }
    return {reason: count for reason, count in counts.items() if count}


def _image_shape(images: LabelledImages) -> tuple[int, ...]:
    shape: tuple[int, ...] = images.images.shape[1:]
    return shape
