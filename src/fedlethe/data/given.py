# SPDX-License-Identifier: MIT
"""Each client's data, handed over from Python or by somebody else's code, as those of one source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from fedlethe.data.cache import UNKNOWN, NamedRows
from fedlethe.data.client_data import MOST_CLASSES, ClientArrays, client_arrays
from fedlethe.data.federated import LabelledImages, Names
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.errors import DataError
from fedlethe.outside.plugins import IN_PYTHON
from fedlethe.text import with_article
from fedlethe.types import ClientId


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenSource:
    """Data that were handed over from Python.

    Attributes:
        images: They, with their clients as sites; None where a run is read without them.
    """

    images: LabelledImages | None = None

    is_given = True

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """See `Source.load`; they lie in memory, so nothing is decoded, and `reading` changes nothing.

        Raises:
            FedletheError: The data are not at hand.
        """
        if self.images is None:
            raise DataError(f"the run's data were {IN_PYTHON}")
        return self.images


def of_clients(clients: Mapping[ClientId, Any], where: str = "data") -> LabelledImages:
    """Each client's data as those of one source, whose sites are the clients.

    Args:
        clients: Client to its data: a pair of arrays (or tensors) `(x, y)`; a torch Dataset of such pairs; or a source
            (see `Source`). x has shape (n, ...): uint8 images (which are brought to [-1, 1]; of shape (n, H, W) they
            become (n, 1, H, W)), floats (which are taken as they are, in float32) or whole numbers of another type,
            such as tokens (in int64), the same `...` for all clients; y holds class numbers from 0, shape (n,).
        where: Names them in messages.

    Returns:
        The data, in the order of the clients' names; the classes are '0', '1', ..., or the source's. Patients and
        official splits are the sources', where they know them.

    Raises:
        DataError: An array has another type or shape, or is not finite; the message names the client.

    Example:
        >>> x, y = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])
        >>> data = of_clients({"north": (x, y), "south": (x + 1, y)})
        >>> data.images.shape, data.classes, data.sites[0].item()
        ((8, 3), ('0', '1'), 'north')
    """
    if not isinstance(clients, Mapping):
        raise DataError(f"{where}: has {with_article(clients)}; give each client's data: {{client: (x, y)}}")
    if not clients:
        raise DataError(f"{where}: names no client; give each client's data: {{client: (x, y)}}")
    held = {
        name: client_arrays(clients[client], f"{where}: client '{name}'") for client, name in _names(clients, where)
    }
    first, some = next(iter(held.items()))
    for client, one in held.items():
        if (one.x.shape[1:], one.x.dtype) != (some.x.shape[1:], some.x.dtype):
            raise DataError(
                f"{where}: client '{client}' has {one.x.dtype} of shape {one.x.shape[1:]} for an example, and "
                f"'{first}' {some.x.dtype} of {some.x.shape[1:]}; make them one"
            )
    content = hashlib.sha256()
    for client, one in held.items():
        content.update(f"{client}/{one.x.dtype}/{one.x.shape}".encode() + one.x.tobytes() + one.y.tobytes())
        for names in (one.groups, one.splits):
            content.update(b"" if names is None else "\0".join(names.tolist()).encode())
    sizes = [len(one.x) for one in held.values()]
    # So that a purge finds what a source of theirs left in the cache.
    identities = [name for one in held.values() for name in one.identities or (UNKNOWN,) * len(one.x)]
    return LabelledImages(
        images=NamedRows.naming(np.concatenate([one.x for one in held.values()]), identities),
        labels=np.concatenate([one.y for one in held.values()]),
        classes=_classes(held, where),
        fingerprint=content.hexdigest(),
        sites=np.repeat(list(held), sizes),
        groups=_groups(held),
        splits=_splits(held, where),
    )


def _names(clients: Mapping[ClientId, Any], where: str) -> list[tuple[Any, ClientId]]:
    """Each key and the client's name that it stands for, in the order of the names."""
    if odd := [client for client in clients if isinstance(client, bool) or not isinstance(client, (str, Integral))]:
        raise DataError(f"{where}: a client is called {odd[0]!r}; give each a name, a text, or a whole number")
    names = sorted(((client, str(client)) for client in clients), key=lambda pair: pair[1])
    if twice := next((b for (_, a), (_, b) in pairwise(names) if a == b), None):
        raise DataError(f"{where}: two clients are called '{twice}'; give each a name of its own")
    return names


def _classes(held: Mapping[ClientId, ClientArrays], where: str) -> tuple[str, ...]:
    """The classes' names: the sources', or else the numbers up to the largest label."""
    largest = max(held, key=lambda client: int(held[client].y.max()))
    count = int(held[largest].y.max()) + 1
    named = {one.classes for one in held.values() if one.classes is not None}
    if len(named) > 1:
        raise DataError(f"{where}: the clients' sources have other classes: {' and '.join(map(str, sorted(named)))}")
    limit = len(next(iter(named))) if named else MOST_CLASSES
    if count > limit:
        known = f"its classes are {', '.join(next(iter(named)))}" if named else f"there can be {limit} classes"
        raise DataError(f"{where}: client '{largest}' has the label {count - 1}, and {known}; correct the labels")
    return named.pop() if named else tuple(map(str, range(count)))


def _groups(held: Mapping[ClientId, ClientArrays]) -> Names | None:
    """Whose each image is, where a client's source knows; of others each image is a group of its own."""
    if all(one.groups is None for one in held.values()):
        return None
    return np.concatenate(
        [
            np.array([f"{client}/{number}" for number in range(len(one.x))]) if one.groups is None else one.groups
            for client, one in held.items()
        ]
    )


def _splits(held: Mapping[ClientId, ClientArrays], where: str) -> Names | None:
    """The official splits, where the clients' sources have them."""
    split: Sequence[Names] = [one.splits for one in held.values() if one.splits is not None]
    if split and len(split) < len(held):
        with_, without = (
            next(client for client in held if (held[client].splits is None) is lacks) for lacks in (False, True)
        )
        raise DataError(
            f"{where}: client '{with_}' has official splits, and '{without}' has none; give all clients the one or the "
            "other"
        )
    return np.concatenate(split) if split else None
