# SPDX-License-Identifier: MIT
"""Names the images of a data set, by what stands for each in the cache's index, without decoding any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NAMED: ContextVar[list[tuple[str, ...]] | None] = ContextVar("NAMED", default=None)


@contextmanager
def only_named() -> Iterator[list[tuple[str, ...]]]:
    """Have images not decoded but named, by what stands for each in the cache's index (see `cache.identity`).

    Yields:
        For each array that is asked for in the block the identity of each row; the arrays themselves are blank. Nothing
        is written to the cache.
    """
    named: list[tuple[str, ...]] = []
    token = NAMED.set(named)
    try:
        yield named
    finally:
        NAMED.reset(token)
