# SPDX-License-Identifier: MIT
"""The one shape that every data source comes to: client id -> train, validation and test images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.errors import ConfigError, DataError
from fedlethe.later import torch
from fedlethe.types import ClientId

Split: TypeAlias = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

UNLABELLED = -1
"""Stands where an image's label is not to be used."""

Labels: TypeAlias = npt.NDArray[np.int64]
Names: TypeAlias = npt.NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledImages:
    """What a source has read, before it is divided among clients.

    Attributes:
        images: uint8, shape (N, C, H, W); usually a memory map.
        labels: int64, shape (N,): indices into `classes`.
        classes: The class names, in the order of the model's outputs.
        fingerprint: Hexadecimal digest of the content of the images and labels, the same wherever the files lie.
        sites: Shape (N,): the client that each image belongs to, where the source knows it.
        groups: Shape (N,): the patient or lesion of each image, never split over train and test, where known.
        splits: Shape (N,), of `SPLITS`: the official split, where there is one.
        left_out: Reason to the number of images that the source did not take.
    """

    images: npt.NDArray[np.uint8]
    labels: Labels
    classes: tuple[str, ...]
    fingerprint: str
    sites: Names | None = None
    groups: Names | None = None
    splits: Names | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """A data set: a frozen dataclass whose fields are its options, entered as one row of DATASETS."""

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Read the images, through the cache.

        Args:
            reading: Which images not to decode; it is handed on to what decodes them (see `decoded_arrays`).

        Raises:
            FedletheError: A file or folder is missing, unreadable or of another form; the message names it.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Some of the images of a source: indices into the shared array, so nothing is copied.

    Attributes:
        images: uint8, shape (N, C, H, W): all images of the source; or float32, shape (N, d, 1, 1): features of them;
            or, of data that are no images, float32 or int64, shape (N, ...).
        indices: int64, shape (n,): which of them, in a fixed order.
        labels: int64, shape (n,).
        groups: Shape (n,): the patient or lesion of each, where it is known.
    """

    images: npt.NDArray[Any]
    indices: Labels
    labels: Labels
    groups: Names | None = None

    @classmethod
    def unlabelled(cls, images: npt.NDArray[np.uint8]) -> Examples:
        """All of these images, shape (N, C, H, W), without labels."""
        return cls(images, np.arange(len(images)), np.full(len(images), UNLABELLED))

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, positions: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """The images and labels at `positions` (shape (b,), each < len(self)).

        Returns:
            Images, shape (b, C, H, W), or features, shape (b, d, 1, 1); and int64 labels, shape (b,).
        """
        images = torch.from_numpy(np.ascontiguousarray(self.images[self.indices[positions]]))
        return images, torch.from_numpy(self.labels[positions])

    def only(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """Those that are chosen, bool, shape (n,)."""
        groups = None if self.groups is None else self.groups[chosen]
        return Examples(self.images, self.indices[chosen], self.labels[chosen], groups)

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All examples in their order, `size` at a time (see `batch`)."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


def normalise(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-1, 1]: (x / 255 - 0.5) / 0.5. No statistic of any client is used.

    Features (float32), and tokens (int64), are as they have to be.
    """
    return images.to(torch.float32).div_(127.5).sub_(1.0) if images.dtype == torch.uint8 else images


@dataclass(frozen=True, slots=True, eq=False)
class ClientData:
    """One client's images."""

    train: Examples
    validation: Examples
    test: Examples

    def split(self, name: Split) -> Examples:
        """The examples of one split."""
        examples: Examples = getattr(self, name)
        return examples


@dataclass(frozen=True, kw_only=True, eq=False)
class FederatedData:
    """Every client's images.

    Attributes:
        clients: Client id to data, in the order of the ids.
        classes: The class names, in the order of the model's outputs.
        image_shape: (C, H, W); of data that are no images, the shape of an example.
        left_out: Reason to the number of images not taken.
        public: Unlabelled images that no client owns; None where there are none.
        owners: Shape (N,): whose each of the source's images is, used or not; '' for nobody's.
        groups: Shape (N,): the patient or lesion of each, where it is known.
        without_effect: Says which option of the partition changes nothing for these images; '' where each counts.
    """

    clients: Mapping[ClientId, ClientData]
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    source_fingerprint: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    public: Examples | None = None
    owners: Names | None = None
    groups: Names | None = None
    without_effect: str = ""

    def demand_options_used(self) -> None:
        """Refuse an option of the partition that was given and changes nothing.

        Raises:
            FedletheError: There is one.
        """
        if self.without_effect:
            raise ConfigError(f"partition: {self.without_effect}")

    @property
    def are_images(self) -> bool:
        """Whether an example is an image (C, H, W), and not a row, or an array of whole numbers such as tokens."""
        some = next((held.train.images for held in self.clients.values()), None)  # none where they are elsewhere
        return len(self.image_shape) == 3 and (some is None or some.dtype != np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the images and of who holds which of them in which split."""
        digest = hashlib.sha256(self.source_fingerprint.encode())
        for client, data in self.clients.items():
            for name in SPLITS:
                digest.update(f"{client}/{name}/{len(data.split(name))}".encode())
                digest.update(data.split(name).indices.astype("<i8").tobytes())
        if self.public is not None:
            digest.update(f"public/{len(self.public)}".encode())
            digest.update(self.public.indices.astype("<i8").tobytes())
        return digest.hexdigest()

    def without(self, forget: Iterable[ClientId]) -> FederatedData:
        """The same data, the `forget` clients gone: their images cannot be reached from what is returned.

        The images of all clients lie in one array, so 'reached' is meant of this interface: no index into them is left.

        Raises:
            FedletheError: A client is not there, or none would be left.
        """
        gone = set(forget)
        for client in sorted(gone - set(self.clients)):
            raise DataError(unknown_client(client, self.clients))
        kept = {client: data for client, data in self.clients.items() if client not in gone}
        if not kept:
            raise DataError(f"{', '.join(sorted(gone))}: no client would be left; keep at least one")
        return replace(self, clients=kept)

    def rows_of(self, client: ClientId, patients: Sequence[str] | None = None) -> Labels:
        """Rows of the source's array that are a client's, or these patients' of it, in every split and in none.

        Also those that were thinned out, and those of a site that are public.

        Raises:
            FedletheError: The client or a patient has no image.
        """
        owners = np.zeros(0, np.str_) if self.owners is None else self.owners
        mine = owners == client
        if not mine.any():
            raise DataError(unknown_client(client, sorted(set(owners.tolist()) - {""})))
        if patients is None:
            return np.flatnonzero(mine)
        if self.groups is None:
            raise DataError(f"client '{client}': the data name no patients; erase the client as a whole")
        if missing := sorted(set(patients) - set(self.groups[mine].tolist())):
            raise DataError(f"patient '{missing[0]}' has no image at {client}; nothing was done")
        return np.flatnonzero(mine & np.isin(self.groups, list(patients)))

    def patients_of(self, client: ClientId) -> frozenset[str]:
        """A client's patients, in every split and in none; none where the data name no patients."""
        if self.owners is None or self.groups is None:
            return frozenset()
        return frozenset(self.groups[self.owners == client].tolist())

    def of_patients(self, client: ClientId, patients: Sequence[str]) -> dict[Split, npt.NDArray[np.bool_]]:
        """Which of a client's examples are of these patients, bool, shape (n,), by split.

        Raises:
            FedletheError: The client or a patient is not there, the data name no patients, or too few images for
                training would be left.
        """
        if client not in self.clients:
            raise DataError(unknown_client(client, self.clients))
        held, seen, found = self.clients[client], set[str](), {}
        for split in SPLITS:
            groups = held.split(split).groups
            if groups is None:
                raise DataError(f"client '{client}': the data name no patients; erase the client as a whole")
            found[split] = np.isin(groups, list(patients))
            seen |= set(groups[found[split]].tolist())
        if missing := sorted(set(patients) - seen):
            raise DataError(f"patient '{missing[0]}' has no image at {client}; nothing was done")
        if (~found["train"]).sum() < 2:
            raise DataError(f"client '{client}' has no other patients; erase the client instead")
        return found

    def without_patients(self, client: ClientId, patients: Sequence[str]) -> FederatedData:
        """The same data, these patients of the client gone (see `of_patients`)."""
        gone, held = self.of_patients(client, patients), self.clients[client]
        kept = ClientData(*(held.split(split).only(~gone[split]) for split in SPLITS))
        return replace(self, clients={**self.clients, client: kept})


def unknown_client(client: ClientId, known: Iterable[ClientId]) -> str:
    """The message for a client id that is not there."""
    return f"client '{client}' is not in this federation; its clients are {', '.join(known)}"
