# SPDX-License-Identifier: MIT
"""How far long work is, on stderr: a bar in a terminal, and elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

EVERY = 30.0
"""Seconds between two plain lines: a log tells that the work goes on, and short work writes none."""


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show how far a piece of work is: a bar, or a plain line every 30 seconds where stderr is not a terminal.

    Args:
        description: Stands before the bar.
        total: How many steps there are; None where nobody knows.

    Yields:
        What is to be called after each step.
    """
    if not sys.stderr.isatty():
        yield _lines(description, total)
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


def _lines(description: str, total: int | None) -> Callable[[], None]:
    begun = said = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal said, done
        done += 1
        now = time.monotonic()
        if now - said < EVERY:
            return
        said = now
        of = left = ""
        if total is not None:
            of = f" of {total:,}"
            left = f", about {(now - begun) / done * (total - done):,.0f} s left"
        print(f"{description}: {done:,}{of} after {now - begun:,.0f} s{left}", file=sys.stderr, flush=True)

    return advance


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
