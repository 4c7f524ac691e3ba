# SPDX-License-Identifier: MIT
"""Records of a run as JSON: typed values to text, and checked on the way back."""

from __future__ import annotations

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
        FedletheError: It is no JSON, or that of something else.
    """
    try:
        value: T = adapter_of(kind).validate_json(text)
        return value
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        name = getattr(kind, "__name__", str(kind))
        raise HistoryError(
            f"a record of the run cannot be read as {name} ({place or 'its JSON'}: {first['msg'][:200]}); restore "
            "the run from a backup"
        ) from None
