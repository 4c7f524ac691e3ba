# SPDX-License-Identifier: MIT
"""What a Python program gives that is of another type is refused in one line, before anything is done."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError
from fedlethe.outside.arguments import checked_arguments, checked_methods

if TYPE_CHECKING:
    from fedlethe.later import nn


@checked_arguments
def act(
    *clients: str,
    file: Path | str | None = None,
    draws: int = 5,
    levels: Sequence[float] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    plan: ErasurePlan | None = None,
    model: nn.Module | None = None,
    name: str | None = None,
    names: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    **fields: Any,
) -> tuple[Any, ...]:
    """Something of the face."""
    return clients, file, draws, levels, options, plan, model, fields


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"file": ""}, "file: holds an empty text; give a value, or leave it out"),
        ({"name": " "}, "name: holds an empty text; give a value, or leave it out"),
        ({"file": 3}, "file: a path is wanted, not 3"),
        ({"draws": "2"}, "draws: a whole number is wanted, not '2'"),
        ({"draws": 2.0}, "draws: a whole number is wanted, not 2.0"),
        ({"draws": True}, "draws: a whole number is wanted, not true"),
        ({"name": b"a"}, "name: a text is wanted, not b'a'"),
        ({"name": bytearray(b"a")}, "name: a text is wanted, not bytearray(b'a')"),
        ({"names": ["a", b"b"]}, "names: a text is wanted, not b'b'"),
        ({"words": {"by": b"a"}}, "words 'by': a text is wanted, not b'a'"),
        ({"levels": "0,1"}, "levels: a list is wanted, not '0,1'"),
        ({"levels": 0.1}, "levels: a list is wanted, not 0.1"),
        ({"levels": ["1"]}, "levels: a number is wanted, not '1'"),
        ({"options": {"scale": 1.0}}, "options 'scale': a table is wanted, not 1.0"),
        ({"plan": {"method": "retrain"}}, "plan: an ErasurePlan is wanted, not {'method': 'retrain'}"),
    ],
)
def test_what_is_of_another_type_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        act(**given)
    assert str(raised.value) == words


def test_each_of_several_is_looked_at() -> None:
    with pytest.raises(ConfigError, match=r"clients: a text is wanted, not \['a'\]"):
        act("b", ["a"])  # type: ignore[arg-type]


def test_what_is_right_goes_through() -> None:
    levels, plan = np.array([0.0, 0.5]), ErasurePlan()
    taken = act("a", file="f", draws=3, levels=levels, plan=plan, model="anything", more=1)  # type: ignore[arg-type]
    assert taken[:3] == (("a",), "f", 3)
    assert taken[3] == [0.0, 0.5]
    assert taken[5] is plan
    assert taken[6:] == ("anything", {"more": 1})
    assert list(inspect.signature(act).parameters)[:3] == ["clients", "file", "draws"]


def test_numbers_and_lists_of_numpy_arrive_as_pythons_own() -> None:
    @checked_arguments
    def taken(count: int, levels: Sequence[float] = (), names: Sequence[str] = ()) -> str:
        return json.dumps([count, list(levels), list(names)])

    names: Any = np.array(["a"])
    levels: Any = np.array([0.5, 1.0])
    assert taken(np.int64(2), [np.float32(0.5)], names) == '[2, [0.5], ["a"]]'
    assert taken(np.int64(2), levels=levels) == "[2, [0.5, 1.0], []]"


def test_a_path_arrives_as_the_text_that_is_wanted_and_a_text_as_a_path() -> None:
    @checked_arguments
    def taken(*clients: str, name: str, plan: ErasurePlan | str = "", file: Path | None = None) -> tuple[Any, ...]:
        return clients, name, plan, file

    path: Any = Path("b")
    assert taken(path, name=path, plan=path, file="f") == (("b",), "b", "b", Path("f"))  # type: ignore[arg-type]
    assert taken(name="n", file=path) == ((), "n", "", path)


def test_the_public_methods_of_a_class_are_checked() -> None:
    @checked_methods
    class Thing:
        """A thing."""

        def twice(self, count: int) -> int:
            """Double."""
            return 2 * self._once(count)

        def _once(self, count: int) -> int:
            return count

    assert Thing().twice(2) == 4
    assert Thing()._once("x") == "x"  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(ConfigError, match="count: a whole number is wanted, not '2'"):
        Thing().twice("2")  # type: ignore[arg-type]
