# SPDX-License-Identifier: MIT
"""A progress bar on stderr, when someone is looking."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
    """Hand the items through, showing how far they are; nothing is shown where stderr is not a terminal.

    Args:
        items: What to go through.
        total: How many there are, where known.
        description: Stands before the bar.

    Yields:
        The items, unchanged.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, description, total=total, console=Console(stderr=True), transient=True)
