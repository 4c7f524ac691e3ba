# SPDX-License-Identifier: MIT
"""What a data set's images are read for: to be used, all but those that were erased; or only to be named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How a source reads its images through the cache; handed down to whatever decodes them.

    Attributes:
        blank: Cached array (its name without its ending) to the rows that are not decoded: they stay blank.
        only_named: Whether no image is decoded, and nothing written to the cache: the array is blank, and tells what
            stands for each row (see `cache.origins`).

    Example:
        >>> Reading(blank={"a1": frozenset({4})}).blank_in("a1"), EVERYTHING.blank_in("a1")
        (frozenset({4}), frozenset())
    """

    blank: Mapping[str, frozenset[int]] = field(default_factory=dict)
    only_named: bool = False

    def blank_in(self, array: str) -> frozenset[int]:
        """The rows of a cached array that stay blank."""
        return self.blank.get(array, frozenset())


EVERYTHING = Reading()
"""Every image is decoded."""
