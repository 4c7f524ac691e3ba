# SPDX-License-Identifier: MIT
"""Data sources that do not come with fedlethe, and arrays of one client each as one source's images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fedlethe.data.erased import arrays_there, held_to
from fedlethe.data.federated import LabelledImages, Source
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.deferred import Outside, parameters
from fedlethe.errors import DataError
from fedlethe.plugins import frozen_dataclass
from fedlethe.types import ClientId


@dataclass(frozen=True, kw_only=True)
class OutsideSource:
    """A data source that does not come with fedlethe.

    Attributes:
        outside: A frozen dataclass with `load`, or a function that is called with its options; either gives
            LabelledImages, or each client's arrays (see `of_arrays`).
    """

    outside: Outside[Source]

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """See `Source.load`; the reading is handed to a `load` that takes it.

        Raises:
            FedletheError: Its code is not there, fails, or gives something else.
        """
        before = arrays_there()
        given = self._loaded(reading)
        if not isinstance(given, LabelledImages):
            return of_arrays(given, self.outside.where)
        # It may have read through fedlethe's cache without the reading: then what it decoded goes again.
        return replace(given, images=held_to(given.images, reading, before))

    def _loaded(self, reading: Reading) -> Any:
        if not frozen_dataclass(self.outside.kind):
            return self.outside.called()
        load = self.outside.built().load
        return self.outside.guarded(lambda: load(reading) if "reading" in parameters(load) else load())


def of_arrays(clients: Mapping[ClientId, tuple[npt.NDArray[Any], npt.NDArray[Any]]], where: str) -> LabelledImages:
    """Each client's images and labels as those of one source, whose sites are the clients.

    Args:
        clients: Client to its images, uint8, shape (n, C, H, W) or (n, H, W), and labels, whole numbers from 0, shape
            (n,). C, H and W are the same for all.
        where: Names the source in messages.

    Returns:
        The images, in the order of the clients' names; the classes are '0', '1', ...

    Raises:
        FedletheError: An array is of another type or shape; the message names the client.

    Example:
        >>> ones = np.ones((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
        >>> images = of_arrays({"north": ones, "south": ones}, "my arrays")
        >>> images.images.shape, images.classes, images.sites[0].item()
        ((8, 1, 8, 8), ('0', '1'), 'north')
    """
    if not isinstance(clients, Mapping) or not clients:
        raise DataError(
            f"{where}: gives a {type(clients).__name__}; return LabelledImages, or {{client: (images, labels)}}"
        )
    held = {client: _arrays(clients[client], f"{where}: client '{client}'") for client in sorted(clients, key=str)}
    shapes = {client: images.shape[1:] for client, (images, _) in held.items()}
    first, shape = next(iter(shapes.items()))
    if other := next((client for client in shapes if shapes[client] != shape), None):
        raise DataError(
            f"{where}: client '{other}' has images of shape {shapes[other]}, and '{first}' of {shape}; make them one"
        )
    labels = np.concatenate([labels for _, labels in held.values()])
    content = hashlib.sha256()
    for client, (images, of_client) in held.items():
        content.update(f"{client}/{images.shape}".encode() + images.tobytes() + of_client.astype("<i8").tobytes())
    return LabelledImages(
        images=np.concatenate([images for images, _ in held.values()]),
        labels=labels,
        classes=tuple(map(str, range(int(labels.max()) + 1))),
        fingerprint=content.hexdigest(),
        sites=np.repeat(list(held), [len(images) for images, _ in held.values()]),
    )


def _arrays(given: Any, where: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    if not isinstance(given, tuple) or len(given) != 2:
        raise DataError(f"{where}: has a {type(given).__name__}; give a pair (images, labels)")
    images, labels = map(np.asarray, given)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise DataError(
            f"{where}: has images of {images.dtype}, shape {images.shape}; give uint8, shape (n, H, W) or (n, C, H, W)"
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise DataError(
            f"{where}: has labels of {labels.dtype}, shape {labels.shape}; give whole numbers from 0, shape "
            f"({len(images)},)"
        )
    return images[:, None] if images.ndim == 3 else images, labels.astype(np.int64)
