# SPDX-License-Identifier: MIT
"""Each client's data as a Python program hands them over: arrays, a PyTorch data set, or a source of images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import LabelledImages
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.errors import DataError
from fedlethe.plugins import IN_PYTHON
from fedlethe.types import ClientId

FLOATS = (np.float32, np.float64, np.float16)


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


def of_clients(clients: Mapping[ClientId, Any]) -> LabelledImages:
    """Each client's data as those of one source, whose sites are the clients.

    Args:
        clients: Client to its data: a pair of arrays (or tensors) `(x, y)`; a torch Dataset of such pairs; or a source
            (see `Source`). x has shape (n, ...), uint8 images (which are brought to [-1, 1]) or floats (which are
            taken as they are), the same `...` for all clients; y holds class numbers from 0, shape (n,).

    Returns:
        The data, in the order of the clients' names; the classes are '0', '1', ..., or the source's.

    Raises:
        FedletheError: An array has another type or shape, or is not finite; the message names the client.

    Example:
        >>> x, y = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])
        >>> data = of_clients({"north": (x, y), "south": (x + 1, y)})
        >>> data.images.shape, data.classes, data.sites[0].item()
        ((8, 3), ('0', '1'), 'north')
    """
    if not isinstance(clients, Mapping) or not clients:
        raise DataError(f"data: a {type(clients).__name__} was given; give a mapping of clients to their data")
    held = {str(client): _pair(clients[client], f"data: client '{client}'") for client in sorted(clients, key=str)}
    first, (some, *_) = next(iter(held.items()))
    for client, (x, *_) in held.items():
        if (x.shape[1:], x.dtype) != (some.shape[1:], some.dtype):
            raise DataError(
                f"data: client '{client}' has {x.dtype} of shape {x.shape[1:]} for an example, and '{first}' "
                f"{some.dtype} of {some.shape[1:]}; make them one"
            )
    labels = np.concatenate([y for _, y, _ in held.values()])
    named = {classes for _, _, classes in held.values() if classes is not None}
    if len(named) > 1:
        raise DataError(f"data: the clients' sources have other classes: {' and '.join(map(str, sorted(named)))}")
    content = hashlib.sha256()
    for client, (x, y, _) in held.items():
        content.update(f"{client}/{x.dtype}/{x.shape}".encode() + x.tobytes() + y.astype("<i8").tobytes())
    return LabelledImages(
        images=np.concatenate([x for x, _, _ in held.values()]),
        labels=labels,
        classes=named.pop() if named else tuple(map(str, range(int(labels.max()) + 1))),
        fingerprint=content.hexdigest(),
        sites=np.repeat(list(held), [len(x) for x, _, _ in held.values()]),
    )


def _pair(given: Any, where: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], tuple[str, ...] | None]:
    """A client's x, y, and the names of its classes where a source knows them."""
    if hasattr(given, "load"):
        images: LabelledImages = given.load()
        return np.ascontiguousarray(images.images), images.labels, images.classes
    if isinstance(given, tuple) and len(given) == 2:
        x, y = (np.asarray(part) for part in given)
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, (tuple, list)):
        pairs = [given[number] for number in range(len(given))]  # a torch Dataset: its length and its items
        if not pairs:
            raise DataError(f"{where}: is empty; leave it out")
        x, y = np.stack([np.asarray(one[0]) for one in pairs]), np.array([int(one[1]) for one in pairs])
    else:
        raise DataError(
            f"{where}: has a {type(given).__name__}; give a pair of arrays (x, y), a torch Dataset or a source"
        )
    return _examples(x, where), _labels(y, len(x), where), None


def _examples(x: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    if x.ndim < 2 or not x.size or (x.dtype != np.uint8 and x.dtype not in FLOATS):
        raise DataError(
            f"{where}: has x of {x.dtype}, shape {x.shape}; give uint8 images or floats, shape (n, ...), n above 0"
        )
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    if not np.isfinite(x).all():
        raise DataError(f"{where}: x holds values that are not finite; mend or leave out these examples")
    return np.ascontiguousarray(x, dtype=np.float32)


def _labels(y: npt.NDArray[Any], count: int, where: str) -> npt.NDArray[np.int64]:
    if y.shape != (count,) or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise DataError(
            f"{where}: has y of {y.dtype}, shape {y.shape}; give class numbers from 0, whole numbers, shape ({count},)"
        )
    return y.astype(np.int64)
