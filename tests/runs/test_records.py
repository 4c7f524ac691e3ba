# SPDX-License-Identifier: MIT
"""Records as JSON: what is written is read back as it was, and anything else is named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fedlethe.errors import HistoryError
from fedlethe.runs.records import from_json, to_json


@dataclass(frozen=True)
class Inner:
    rounds: int


@dataclass(frozen=True)
class Outer:
    name: str
    parts: tuple[Inner, ...] = ()


def test_a_record_is_read_back_as_it_was() -> None:
    held = Outer("a", (Inner(1), Inner(2)))
    assert from_json(to_json(held, Outer), Outer) == held
    assert from_json(to_json([held], list[Outer]), list[Outer]) == [held]


@pytest.mark.parametrize(
    ("text", "place"),
    [("{", "its JSON"), ('{"name": "a", "parts": [{"rounds": "many"}]}', "parts.0.rounds"), ("{}", "name")],
)
def test_the_place_of_what_is_wrong_is_named(text: str, place: str) -> None:
    with pytest.raises(HistoryError, match=rf"cannot be read as Outer \({place}: .*backup"):
        from_json(text, Outer)
