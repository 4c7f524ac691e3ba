# SPDX-License-Identifier: MIT
"""A backdoor that one client trains into the model: what only it saw, and what an audit can look for afterwards.

Gu, Dolan-Gavitt, Garg, 'BadNets', 2017: a white square in the lower right corner of some of the client's training
images, which are relabelled to the target class.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedlethe.data.federated import ClientData, Examples, FederatedData, unknown_client
from fedlethe.errors import DataError
from fedlethe.seeding import numpy_generator
from fedlethe.types import ClientId

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Backdoor:
    """Who has it, and what it does.

    Attributes:
        client: The client whose training images carry it.
        fraction: Share of them, drawn at random.
        target: The class that the trigger stands for: an index into the classes.
        size: Side of the square in pixels; None for a seventh of the image's height.

    Raises:
        ValueError: An option is out of its range.
    """

    client: ClientId
    fraction: float = 1 / 3
    target: int = 0
    size: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction = {self.fraction}: must be above 0 and at most 1")
        if self.target < 0:
            raise ValueError(f"target = {self.target}: must be 0 or more")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size = {self.size}: must be 1 or more")

    def stamp(self, images: Images) -> Images:
        """Copies of images, shape (n, C, H, W), with the trigger."""
        side = self.size or max(1, images.shape[2] // 7)
        stamped: Images = images.copy()
        stamped[:, :, -side:, -side:] = 255
        return stamped

    def plant(self, data: FederatedData, seed: int) -> FederatedData:
        """The federation with the trigger in the client's training images; nobody else's are touched.

        Raises:
            FedletheError: There is no such client or class, or the data are no images.
        """
        if not data.are_images:
            raise DataError(f"backdoor: is drawn into images (C, H, W), and an example has shape {data.image_shape}")
        if self.client not in data.clients:
            raise DataError(f"backdoor: {unknown_client(self.client, data.clients)}")
        if self.target >= len(data.classes):
            raise DataError(f"backdoor: there is no class {self.target}; there are {len(data.classes)}")
        held = data.clients[self.client]
        train = held.train
        count = max(1, round(self.fraction * len(train)))
        chosen = numpy_generator(seed, "backdoor").choice(len(train), count, replace=False)
        images, labels = np.ascontiguousarray(train.images[train.indices]), train.labels.copy()
        images[chosen] = self.stamp(images[chosen])
        labels[chosen] = self.target
        planted = ClientData(Examples(images, np.arange(len(train)), labels, train.groups), held.validation, held.test)
        digest = hashlib.sha256(f"{data.fingerprint}/{self}/{seed}".encode()).hexdigest()
        return replace(data, clients={**data.clients, self.client: planted}, source_fingerprint=digest)

    def triggered(self, data: FederatedData) -> Examples:
        """Every client's test images of the other classes, with the trigger; the labels are the true ones."""
        kept = [(held.test, held.test.labels != self.target) for held in data.clients.values()]
        images = np.concatenate([test.images[test.indices[others]] for test, others in kept])
        labels = np.concatenate([test.labels[others] for test, others in kept])
        return Examples(self.stamp(images), np.arange(len(labels)), labels)
