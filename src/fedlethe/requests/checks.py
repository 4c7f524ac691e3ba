# SPDX-License-Identifier: MIT
"""One thing that was looked at, and with which result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Result: TypeAlias = Literal["ok", "failed", "not checked"]


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Why something could not be checked here, in words."""

    words: str


Problem: TypeAlias = str | Unchecked | None
"""What is wrong, in words; None where nothing is."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: What was looked at.
        result: 'ok', or what else came of it.
        words: The result in words.
    """

    what: str
    result: Result
    words: str


def held(what: str, problems: Iterable[str], words: str) -> Check:
    """What became of a search for problems; `words` are what holds where there is none.

    Example:
        >>> held("modes", [], "files are their owner's alone").result
        'ok'
    """
    found = list(problems)
    return Check(what, "failed", "; ".join(found)) if found else Check(what, "ok", words)
