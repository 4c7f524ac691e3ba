# SPDX-License-Identifier: MIT
"""Stands for the images of a federation whose nodes each name their own (see `flower`)."""

from __future__ import annotations

from dataclasses import dataclass

from fedlethe.data.federated import LabelledImages
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """No images here: every Flower node has a file of its own that names a source."""

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Refuse.

        Raises:
            FedletheError: Always; it says where the images are named.
        """
        raise DataError(
            "the data source is 'nodes': each Flower node names its images, with data=... in its --node-config; "
            "without Flower choose another source"
        )
