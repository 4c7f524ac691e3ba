# SPDX-License-Identifier: MIT
"""What a command has found is alone on stdout, whatever the parts that others wrote print there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO


class _Aside:
    """Stands for stdout while a command runs: what is written to it goes to stderr."""

    def __init__(self, results: TextIO) -> None:
        self.results = results

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextmanager
def results_alone() -> Iterator[None]:
    """While a command runs, what is printed goes to stderr, save what `results` is given.

    A process has one stdout, so this is the command line's alone: there the process is ours. In a program the prints of
    its parts stay where they are.
    """
    aside: Any = _Aside(results())
    with redirect_stdout(aside):
        yield


def results() -> TextIO:
    """Where the results of the command go that runs."""
    found: TextIO = getattr(sys.stdout, "results", sys.stdout)
    return found
