# SPDX-License-Identifier: MIT
"""Who holds what: groups of images (a patient's, a lesion's) are given to clients by site, or dealt out at random.

A group goes whole to one simulated client.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import (
    SPLITS,
    LabelledImages,
    Labels,
    unknown_client,
)
from fedlethe.data.partition import Partition
from fedlethe.errors import DataError
from fedlethe.names import demand_apart, demand_client_name
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId

Mask = npt.NDArray[np.bool_]

TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")

NOBODY = -1

DRAWS = 200
"""How often Dirichlet proportions are drawn before giving up."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
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
class Assignment:
    """Who holds what.

    Attributes:
        names: The K clients, sorted.
        clients: int64, shape (N,): the client of each image, an index into `names`, or NOBODY.
        home: int64, shape (G,): the client that holds most of each group's images, or NOBODY.
    """

    names: tuple[ClientId, ...]
    clients: Labels
    home: Labels


def is_by_site(images: LabelledImages, partition: Partition) -> bool:
    """Whether the sites that the source names are the clients."""
    return partition.scheme == "site" or (partition.scheme is None and images.sites is not None)


def groups_of(images: LabelledImages) -> Groups:
    """The groups that images form; each image is one of its own where the source knows none.

    Raises:
        FedletheError: A group lies in two official splits.
    """
    count = len(images.labels)
    if images.groups is None:
        names, of = np.arange(count).astype(np.str_), np.arange(count, dtype=np.int64)
    else:
        names, of = np.unique(images.groups, return_inverse=True)
    # A group is dealt out as a whole, so one label has to stand for it: the one that most of its images have.
    labels = np.zeros((len(names), len(images.classes)), dtype=np.int64)
    np.add.at(labels, (of, images.labels), 1)
    return Groups(of, labels.sum(axis=1), labels.argmax(axis=1), _official(images, names, of))


def public_groups(groups: Groups, partition: Partition, seed: int) -> Mask:
    """Which groups are public, shape (G,): drawn from those that could be trained on."""
    public = np.zeros(len(groups.sizes), dtype=np.bool_)
    if partition.public_fraction > 0:
        candidates = np.flatnonzero(np.ones_like(public) if groups.splits is None else groups.splits == TRAIN)
        order = numpy_generator(seed, "partition", "public").permutation(candidates)
        # By its middle: a group that the line cuts goes to the side that most of it is on, so the share is met nearly.
        middles = np.cumsum(groups.sizes[order]) - groups.sizes[order] / 2
        public[order[middles < partition.public_fraction * groups.sizes[order].sum()]] = True
    return public


def without_public(assignment: Assignment, groups: Groups, public: Mask) -> Assignment:
    """The assignment, the public groups nobody's."""
    clients = np.where(public[groups.of], NOBODY, assignment.clients)
    return Assignment(assignment.names, clients, np.where(public, NOBODY, assignment.home))


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
        raise DataError(f"{names[of[torn[0]]]}: its images lie in two splits ({' and '.join(both)}); put them into one")
    return splits


def drawn_assignments(images: LabelledImages, groups: Groups, partition: Partition, seed: int) -> Iterator[Assignment]:
    """The assignments to try: one, or several draws for "dirichlet".

    Raises:
        FedletheError: There are no sites to divide by, a site's name cannot name a folder, a client to leave out is not
            there, or there are too few images.
    """
    if is_by_site(images, partition):
        assignment = _by_site(images, groups)
        _refuse_unknown(partition, assignment.names)
        yield assignment
        return
    _refuse_too_many(images, partition)
    names = tuple(sorted(f"client-{number}" for number in range(partition.number_of_clients)))
    _refuse_unknown(partition, names)
    # Only Dirichlet's proportions can leave a client too little; what else is drawn comes out the same in numbers.
    for draw in range(DRAWS if partition.scheme == "dirichlet" else 1):
        home = _simulated(groups, partition, numpy_generator(seed, "partition", draw))
        yield Assignment(names, home[groups.of], home)


def _by_site(images: LabelledImages, groups: Groups) -> Assignment:
    if images.sites is None:
        raise DataError('partition: this data set names no sites; use scheme = "iid", "dirichlet" or "quantity"')
    sites, clients = np.unique(images.sites, return_inverse=True)
    for name in sites.tolist():
        demand_client_name(name)
    demand_apart(sites.tolist())
    held = np.zeros((len(groups.sizes), len(sites)), dtype=np.int64)
    np.add.at(held, (groups.of, clients), 1)
    return Assignment(tuple(sites.tolist()), clients.astype(np.int64), held.argmax(axis=1))


def _refuse_unknown(partition: Partition, names: Sequence[ClientId]) -> None:
    for client in partition.leave_out:
        if client not in names:
            raise DataError(f"leave_out: {unknown_client(client, names)}")


def _refuse_too_many(images: LabelledImages, partition: Partition) -> None:
    available, wanted = len(images.labels), partition.number_of_clients
    if wanted > available:
        raise DataError(f"partition: {wanted} clients are more than the {available} images; simulate fewer")
    if partition.counts and sum(partition.quantities) > available:
        asked = int(sum(partition.quantities))
        raise DataError(f"partition: quantities ask for {asked} images, but there are {available}; ask for fewer")


def _simulated(groups: Groups, partition: Partition, generator: np.random.Generator) -> Labels:
    """The client of each group, shape (G,); NOBODY where none gets it."""
    count = partition.number_of_clients
    home = np.full(len(groups.sizes), NOBODY, dtype=np.int64)
    if partition.scheme == "dirichlet":
        for label in range(groups.labels.max() + 1):
            shares = generator.dirichlet(np.full(count, partition.concentration))
            _deal(home, groups, groups.labels == label, shares, generator)
        return home
    shares = np.full(count, 1.0 / count)
    if partition.quantities:
        shares = np.asarray(partition.quantities) / (groups.sizes.sum() if partition.counts else 1.0)
    _deal(home, groups, np.ones(len(home), dtype=np.bool_), shares, generator)
    return home


def _deal(
    home: Labels, groups: Groups, among: Mask, shares: npt.NDArray[np.float64], generator: np.random.Generator
) -> None:
    """Give out the groups `among` by `shares` of their images, shape (K,), each official split for itself."""
    for split in (None,) if groups.splits is None else range(len(SPLITS)):
        # For each official split by itself, so that every client gets its share of test images, too.
        mine = among if groups.splits is None else among & (groups.splits == split)
        order = generator.permutation(np.flatnonzero(mine))
        ends = np.cumsum(groups.sizes[order])
        edges = np.rint(np.cumsum(shares) * groups.sizes[order].sum())
        # Rounded edges: with groups of one image the counts are exact, and never off by the rounding of a sum.
        dealt = np.searchsorted(edges, ends - groups.sizes[order] / 2, side="left")
        home[order] = np.where(dealt < len(shares), dealt, NOBODY)
