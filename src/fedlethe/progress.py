# SPDX-License-Identifier: MIT
"""A progress bar on stderr, when someone is looking."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show how far a piece of work is; nothing is shown where stderr is not a terminal.

    Args:
        description: Stands before the bar.
        total: How many steps there are; None where nobody knows.

    Yields:
        What is to be called after each step.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)


def track(items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
    """Hand the items through, showing how far they are (see `bar`).

    Args:
        items: What to go through.
        total: How many they are, where known.
        description: Stands before the bar.

    Yields:
        The items, unchanged.
    """
    with bar(description, total) as advance:
        for item in items:
            yield item
            advance()
