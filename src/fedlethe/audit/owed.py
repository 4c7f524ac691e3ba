# SPDX-License-Identifier: MIT
"""What an audit owes, whoever wrote it: parts of the right kind, and one figure of each model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import Any, TypeVar, get_args

import numpy as np

from fedlethe.audit.evidence import Answers, Audit, Evidence, Measured, Task, Verdict
from fedlethe.errors import ConfigError
from fedlethe.outside.plugins import guarded
from fedlethe.text import with_article

T = TypeVar("T", Answers, Task)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_words(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(word in get_args(Verdict) for word in value)


_OWED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "paper": (_is_text, "a text: where it comes from"),
    "figure": (_is_text, "a text: what it measures"),
    "worse": (lambda value: value in ("large", "small"), "'large' or 'small'"),
    "words": (_are_words, f"two of {', '.join(get_args(Verdict))}"),
    "gated": (lambda value: isinstance(value, bool), "True or False"),
    "tolerance": (lambda value: _is_number(value) and math.isfinite(value), "a finite number"),
    "measure": (callable, "a function: def measure(self, evidence: Evidence) -> Measured | str"),
}
"""What each part of an audit must be."""


def wrong_part(audit: Any) -> str | None:
    """Which part of an audit, or of its class, is not what it must be; None where all are."""
    for name, (right, must) in _OWED.items():
        value = getattr(audit, name)
        if isinstance(audit, type) and inspect.isdatadescriptor(value):
            continue  # a property, say: its value is an instance's
        if not right(value):
            return f"its {name} must be {must}, not {' '.join(repr(value).split())[:100]}"
    return None


def measured_by(audit: Audit, evidence: Evidence, where: str) -> Measured | str:
    """Ask an audit for its figures, and hold it to what every audit owes.

    Formal guarantees:
        The evidence is as it was: what is handed out can be read and not written to.

    Args:
        audit: The audit.
        evidence: What to look at.
        where: Names the audit.

    Returns:
        The figures, each a float; or why there are none.

    Raises:
        ConfigError: It fails, or gives something else.
    """
    remedy = "correct it"
    if (problem := guarded(lambda: wrong_part(audit), where, remedy)) is not None:
        raise ConfigError(f"{where}: {problem}")
    given = Evidence(
        _read_only(evidence.task),
        *(tuple(map(_read_only, held)) for held in (evidence.candidates, evidence.untouched, evidence.references)),
    )
    found: Any = guarded(lambda: audit.measure(given), where, remedy)
    if isinstance(found, str):
        if not found.strip():
            raise ConfigError(f"{where}: measures nothing and does not say why; return the reason in words")
        return found
    if not isinstance(found, Measured):
        raise ConfigError(f"{where}: gives {with_article(found)}; return a Measured, or in words why there is none")
    return _as_floats(found, evidence, where)


def _read_only(held: T) -> T:
    """The same arrays, as views that cannot be written to."""
    found: dict[str, Any] = {each.name: getattr(held, each.name) for each in fields(held)}
    for name, value in found.items():
        if isinstance(value, np.ndarray):
            found[name] = value.view()
            found[name].setflags(write=False)
    return type(held)(**found)


def _as_floats(found: Measured, evidence: Evidence, where: str) -> Measured:
    """The figures as floats.

    Raises:
        ConfigError: There is not one for each model, or one is none.
    """
    made: dict[str, Any] = {}
    for name, models in (
        ("candidates", len(evidence.candidates)),
        ("untouched", len(evidence.untouched)),
        ("references", len(evidence.references)),
        ("power", len(evidence.references)),
    ):
        figures = getattr(found, name)
        if name == "power" and figures is None:
            continue
        made[name] = _floats(figures)
        exactly = name in ("candidates", "untouched")
        if not made[name] or (exactly and len(made[name]) != models):
            shown = " ".join(repr(figures).split())[:100]
            raise ConfigError(
                f"{where}: has the figures {shown} for {models} {name}; give one finite figure for each model, and of "
                "references one at least"
            )
    for name, value in {"floor": found.floor, **found.details}.items():
        if not _is_number(value) and not (name == "floor" and value is None):
            raise ConfigError(f"{where}: its {name} is {' '.join(repr(value).split())[:100]}; give a number")
    return replace(found, **made)


def _floats(figures: Any) -> tuple[float, ...]:
    """Numbers as floats; none where they are something else."""
    held = tuple(figures) if isinstance(figures, (Sequence, np.ndarray)) and np.ndim(figures) == 1 else ()
    return tuple(map(float, held)) if all(map(_is_number, held)) else ()
