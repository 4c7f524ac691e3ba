# SPDX-License-Identifier: MIT
"""Divides a source among clients, and each client's images into training and test images.

A group (patient, lesion) goes whole to one simulated client, and never lies in two splits, not even where it occurs
at two sites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import (
    SPLITS,
    UNLABELLED,
    ClientData,
    Examples,
    FederatedData,
    LabelledImages,
    Labels,
    Names,
    unknown_client,
)
from fedlethe.errors import FedletheError
from fedlethe.names import demand_apart, demand_client_name
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId

Scheme = Literal["site", "iid", "dirichlet", "quantity"]
Mask = npt.NDArray[np.bool_]

TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")
NOBODY = -1
DRAWS = 200
"""How often Dirichlet proportions are drawn before giving up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """How a source becomes clients.

    Attributes:
        scheme: "site": as the source names them. "iid": at random, in equal numbers. "dirichlet": each class is
            dealt out by proportions from a symmetric Dirichlet distribution. "quantity": at random, in the numbers of
            `quantities`. None: by site where the source names sites, else iid.
        clients: How many to simulate, for "iid" and "dirichlet".
        alpha: Concentration for "dirichlet": the smaller, the more the clients differ.
        quantities: For "quantity", one number for each client: shares of all images that sum to at most 1, or, where
            all are whole and at least 1, numbers of images (over all splits).
        test_fraction: Share of each client's images to test on, where the source has no official splits.
        max_examples: Keep at most so many images in each split of each client, by class in proportion and at least
            one of each class.
        allow_one_class: Accept a client whose training images are all of one class.
        leave_out: Clients that do not take part.
        public_fraction: Share of the training images that no client gets: the public data, used without labels.
        seed: Draws the division (and a backdoor's images); None for the run's seed. With one of its own, runs of
            several seeds train on the same division.

    Raises:
        ValueError: An option is out of its range.
    """

    scheme: Scheme | None = None
    clients: int = 5
    alpha: float = 0.5
    quantities: tuple[float, ...] = ()
    test_fraction: float = 0.2
    max_examples: int | None = None
    allow_one_class: bool = False
    leave_out: tuple[ClientId, ...] = ()
    public_fraction: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.scheme not in (None, "site", "iid", "dirichlet", "quantity"):
            raise ValueError(f"scheme = {self.scheme}: must be site, iid, dirichlet or quantity")
        if self.clients < 1:
            raise ValueError(f"clients = {self.clients}: must be 1 or more")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha = {self.alpha}: must be greater than 0")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction = {self.test_fraction}: must lie between 0 and 1")
        if not 0 <= self.public_fraction < 1:
            raise ValueError(f"public_fraction = {self.public_fraction}: must be 0 or more and less than 1")
        if self.max_examples is not None and self.max_examples < 2:
            raise ValueError(f"max_examples = {self.max_examples}: must be 2 or more")
        self._check_quantities()

    def _check_quantities(self) -> None:
        if (self.scheme == "quantity") != bool(self.quantities):
            raise ValueError("quantities: give them with scheme = quantity, and only then")
        shares = bool(self.quantities) and not self.counts
        if shares and (min(self.quantities) <= 0 or sum(self.quantities) > 1 + 1e-9):
            raise ValueError(
                f"quantities = {list(self.quantities)}: must be shares greater than 0 that sum to at most 1, or "
                "numbers of images"
            )

    @property
    def counts(self) -> bool:
        """Whether `quantities` are numbers of images."""
        return all(quantity >= 1 and float(quantity).is_integer() for quantity in self.quantities)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """The groups (G of them) that N images form, in the order of their names.

    Attributes:
        of: int64, shape (N,): each image's group.
        sizes: int64, shape (G,): images in each.
        labels: int64, shape (G,): the label that most of a group's images have.
        splits: int64, shape (G,): index into `SPLITS`, where the source has official splits.
    """

    of: Labels
    sizes: Labels
    labels: Labels
    splits: Labels | None


@dataclass(frozen=True, slots=True, eq=False)
class _Assignment:
    """Who holds what.

    Attributes:
        names: The K clients, sorted.
        clients: int64, shape (N,): the client of each image, an index into `names`, or NOBODY.
        home: int64, shape (G,): the client that holds most of each group's images, or NOBODY.
    """

    names: tuple[ClientId, ...]
    clients: Labels
    home: Labels


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
    groups, problem = _groups(images), ""
    public = _public(groups, partition, seed)
    for everybody in _assignments(images, groups, partition, seed):
        assignment = _without(everybody, groups, public)
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
                owners=_owners(everybody if _is_by_site(images, partition) else assignment),
                groups=images.groups,
            )
    raise FedletheError(problem)


def _is_by_site(images: LabelledImages, partition: Partition) -> bool:
    return partition.scheme == "site" or (partition.scheme is None and images.sites is not None)


def _owners(assignment: _Assignment) -> Names:
    """Whose each image is, shape (N,): at a site's also those that are public; '' for nobody's."""
    names: Names = np.asarray([*assignment.names, ""])[assignment.clients]
    return names


def _groups(images: LabelledImages) -> _Groups:
    count = len(images.labels)
    if images.groups is None:
        names, of = np.arange(count).astype(np.str_), np.arange(count, dtype=np.int64)
    else:
        names, of = np.unique(images.groups, return_inverse=True)
    labels = np.zeros((len(names), len(images.classes)), dtype=np.int64)
    np.add.at(labels, (of, images.labels), 1)
    return _Groups(of, labels.sum(axis=1), labels.argmax(axis=1), _official(images, names, of))


def _public(groups: _Groups, partition: Partition, seed: int) -> Mask:
    """Which groups are public, shape (G,): drawn from those that could be trained on."""
    public = np.zeros(len(groups.sizes), dtype=np.bool_)
    if partition.public_fraction > 0:
        candidates = np.flatnonzero(np.ones_like(public) if groups.splits is None else groups.splits == TRAIN)
        order = numpy_generator(seed, "partition", "public").permutation(candidates)
        middles = np.cumsum(groups.sizes[order]) - groups.sizes[order] / 2
        public[order[middles < partition.public_fraction * groups.sizes[order].sum()]] = True
    return public


def _without(assignment: _Assignment, groups: _Groups, public: Mask) -> _Assignment:
    """The assignment, the public groups nobody's."""
    clients = np.where(public[groups.of], NOBODY, assignment.clients)
    return _Assignment(assignment.names, clients, np.where(public, NOBODY, assignment.home))


def _public_examples(images: LabelledImages, indices: Labels) -> Examples | None:
    return Examples(images.images, indices, np.full(len(indices), UNLABELLED)) if len(indices) else None


def _official(images: LabelledImages, names: npt.NDArray[np.str_], of: Labels) -> Labels | None:
    """The official split of each group, shape (G,)."""
    if images.splits is None:
        return None
    of_images = np.asarray([SPLITS.index(name) for name in images.splits.tolist()], dtype=np.int64)
    splits = np.zeros(len(names), dtype=np.int64)
    splits[of] = of_images
    torn = np.flatnonzero(splits[of] != of_images)
    if len(torn):
        both = sorted({SPLITS[splits[of[torn[0]]]], SPLITS[of_images[torn[0]]]})
        raise FedletheError(
            f"{names[of[torn[0]]]}: its images lie in two splits ({' and '.join(both)}); put them into one"
        )
    return splits


def _assignments(images: LabelledImages, groups: _Groups, partition: Partition, seed: int) -> Iterator[_Assignment]:
    """The assignments to try: one, or several draws for "dirichlet"."""
    if _is_by_site(images, partition):
        assignment = _by_site(images, groups)
        _refuse_unknown(partition, assignment.names)
        yield assignment
        return
    _refuse_too_many(images, partition)
    names = tuple(sorted(f"client-{number}" for number in range(_number_of_clients(partition))))
    _refuse_unknown(partition, names)
    for draw in range(DRAWS if partition.scheme == "dirichlet" else 1):
        home = _simulated(groups, partition, numpy_generator(seed, "partition", draw))
        yield _Assignment(names, home[groups.of], home)


def _by_site(images: LabelledImages, groups: _Groups) -> _Assignment:
    if images.sites is None:
        raise FedletheError('partition: this data set names no sites; use scheme = "iid", "dirichlet" or "quantity"')
    sites, clients = np.unique(images.sites, return_inverse=True)
    for name in sites.tolist():
        demand_client_name(name)
    demand_apart(sites.tolist())
    held = np.zeros((len(groups.sizes), len(sites)), dtype=np.int64)
    np.add.at(held, (groups.of, clients), 1)
    return _Assignment(tuple(sites.tolist()), clients.astype(np.int64), held.argmax(axis=1))


def _number_of_clients(partition: Partition) -> int:
    return len(partition.quantities) or partition.clients


def _refuse_unknown(partition: Partition, names: Sequence[ClientId]) -> None:
    for client in partition.leave_out:
        if client not in names:
            raise FedletheError(f"leave_out: {unknown_client(client, names)}")


def _refuse_too_many(images: LabelledImages, partition: Partition) -> None:
    available, wanted = len(images.labels), _number_of_clients(partition)
    if wanted > available:
        raise FedletheError(f"partition: {wanted} clients are more than the {available} images; simulate fewer")
    if partition.counts and sum(partition.quantities) > available:
        asked = int(sum(partition.quantities))
        raise FedletheError(f"partition: quantities ask for {asked} images, but there are {available}; ask for fewer")


def _simulated(groups: _Groups, partition: Partition, generator: np.random.Generator) -> Labels:
    """The client of each group, shape (G,); NOBODY where none gets it."""
    count = _number_of_clients(partition)
    home = np.full(len(groups.sizes), NOBODY, dtype=np.int64)
    if partition.scheme == "dirichlet":
        for label in range(groups.labels.max() + 1):
            shares = generator.dirichlet(np.full(count, partition.alpha))
            _deal(home, groups, groups.labels == label, shares, generator)
        return home
    shares = np.full(count, 1.0 / count)
    if partition.quantities:
        shares = np.asarray(partition.quantities) / (groups.sizes.sum() if partition.counts else 1.0)
    _deal(home, groups, np.ones(len(home), dtype=np.bool_), shares, generator)
    return home


def _deal(
    home: Labels, groups: _Groups, among: Mask, shares: npt.NDArray[np.float64], generator: np.random.Generator
) -> None:
    """Give out the groups `among` by `shares` of their images, shape (K,), each official split for itself."""
    for split in (None,) if groups.splits is None else range(len(SPLITS)):
        mine = among if groups.splits is None else among & (groups.splits == split)
        order = generator.permutation(np.flatnonzero(mine))
        ends = np.cumsum(groups.sizes[order])
        edges = np.rint(np.cumsum(shares) * groups.sizes[order].sum())
        dealt = np.searchsorted(edges, ends - groups.sizes[order] / 2, side="left")
        home[order] = np.where(dealt < len(shares), dealt, NOBODY)


def _splits(groups: _Groups, assignment: _Assignment, partition: Partition, seed: int) -> Labels:
    """The split of each group, shape (G,): the official one, or else test for a share of each client's each class."""
    if groups.splits is not None:
        return groups.splits
    splits = np.full(len(groups.sizes), TRAIN, dtype=np.int64)
    for client, name in enumerate(assignment.names):
        due = 0.0  # test images still to be found; what one class falls short by, the next makes up for
        for label in range(groups.labels.max() + 1):
            members = np.flatnonzero((assignment.home == client) & (groups.labels == label))
            order = numpy_generator(seed, "partition", "test", name, label).permutation(members)
            middles = np.cumsum(groups.sizes[order]) - groups.sizes[order] / 2
            due += partition.test_fraction * int(groups.sizes[members].sum())
            held_out = order[:-1][middles[:-1] < due]  # one group at least is left to train on
            splits[held_out] = TEST
            due -= int(groups.sizes[held_out].sum())
    return splits


def _indices(groups: _Groups, assignment: _Assignment, splits: Labels) -> dict[ClientId, list[Labels]]:
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
    place = np.zeros(len(indices))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = np.arange(len(members)) / len(members)
    return indices[np.argsort(place, kind="stable")[:count]]


def _problem(clients: Mapping[ClientId, ClientData], classes: Sequence[str], partition: Partition) -> str:
    """What keeps a client from taking part, in one line; empty if nothing does."""
    remedy = "divide in another way, add data, or leave the client out (leave_out)"
    if partition.scheme == "dirichlet":
        remedy = f"(after {DRAWS} draws) raise alpha = {partition.alpha:g}, simulate fewer clients or add data"
    if not clients:
        return "leave_out: no client would be left; keep at least one"
    for name, data in clients.items():
        if len(data.train) < 2:
            return f"client '{name}' has {len(data.train)} training images, and needs two; {remedy}"
        if not len(data.test):
            return f"client '{name}' has no test images; {remedy}"
        if len(set(data.train.labels.tolist())) < 2 and not partition.allow_one_class:
            only = classes[data.train.labels[0]]
            return f"client '{name}' has training images of one class only ({only}); {remedy}, or set allow_one_class"
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


def _image_shape(images: LabelledImages) -> tuple[int, int, int]:
    channels, height, width = images.images.shape[1:]
    return channels, height, width
