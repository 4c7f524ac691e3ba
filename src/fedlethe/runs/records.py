# SPDX-License-Identifier: MIT
"""Records of a run as JSON: typed values to text, and checked on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from fedlethe.document import adapter_of
from fedlethe.errors import HistoryError

T = TypeVar("T")


def to_json(value: Any, kind: Any) -> str:
    """A dataclass, or a list of them, as JSON."""
    return adapter_of(kind).dump_json(value).decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """What `to_json` wrote.

    Raises:
        HistoryError: It is no JSON, or that of something else.
    """
    return _checked(adapter_of(kind).validate_json, text, kind)


def to_plain(value: Any, kind: Any, *without: str) -> dict[str, Any]:
    """A dataclass's fields, less some, as plain values that JSON has."""
    plain: dict[str, Any] = adapter_of(kind).dump_python(value, mode="json", exclude={*without})
    return plain


def from_plain(facts: Any, kind: type[T]) -> T:
    """What `to_plain` gave, with the fields that it left out.

    Raises:
        HistoryError: It is something else.
    """
    return _checked(adapter_of(kind).validate_python, facts, kind)


def _checked(read: Callable[[Any], T], given: Any, kind: type[T]) -> T:
    try:
        return read(given)
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        name = getattr(kind, "__name__", str(kind))
        raise HistoryError(
            f"a record of the run cannot be read as {name} ({place or 'its JSON'}: {first['msg'][:200]}); restore "
            "the run from a backup"
        ) from None
