# SPDX-License-Identifier: MIT
"""Several feature maps side by side: what one of them does not see another may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedlethe.closed_form.features import FeatureMap, ImageShape, Transform
from fedlethe.document import plain
from fedlethe.later import torch

BETWEEN = "+"
"""Stands between the names of maps that are joined: scattering+efficientnet-lite0."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The features of several maps, one map's after the other's.

    Attributes:
        parts: Name to map, two at least, in the order in which they were named.
    """

    parts: Mapping[str, FeatureMap]

    def options(self) -> dict[str, Any]:
        """A table for each part, as TOML has it."""
        return {name: plain(part) for name, part in self.parts.items()}

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return "joined 1: " + "; ".join(part.key() for part in self.parts.values())

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        transforms = [part.prepare(shape) for part in self.parts.values()]
        return lambda images: torch.cat([transform(images) for transform in transforms], dim=1)
