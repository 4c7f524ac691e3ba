# SPDX-License-Identifier: MIT
"""Options of code from outside are checked, stored as TOML has them, and given to it when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.models import OutsideModel
from fedlethe.models.small_cnn import SmallCnn
from fedlethe.outside.deferred import FromOutside, Outside, options_of, parameters
from fedlethe.outside.plugins import Registry


@dataclass(frozen=True)
class Net:
    """A dataclass as ours are."""

    size: int = 3
    weights: Path | None = None


class Plain:
    """A class with a constructor of its own."""

    def __init__(self, num_classes: int, width: int = 2) -> None:
        self.made = (num_classes, width)


def made(in_channels: int, size: int, ratio: float = 0.5, where: Path = Path("x")) -> Any:
    return in_channels, size, ratio, where


def anything(**options: Any) -> Any:
    return options


def unread(size: NoSuchType) -> Any:  # type: ignore[name-defined]  # noqa: F821
    return size


def fails() -> None:
    raise ZeroDivisionError("no such\nnumber")


REGISTRY: Registry[Any] = Registry("thing", "fedlethe.tests", {}, lambda kind: None)


def outside(name: str, **options: Any) -> Outside[Any]:
    return Outside(registry=REGISTRY, name=f"{__name__}:{name}", options=options)


def test_options_are_stored_as_toml_has_them() -> None:
    here = str(Path("w.pt").resolve())
    net = outside("Net", weights="w.pt").checked()
    assert net.options == {"size": 3, "weights": here}
    assert net.built().weights == Path(here)
    assert outside("made", size=2, where="w.pt").checked("in_channels").options == {"size": 2, "where": here}


def test_a_call_gets_its_options_and_what_it_asks_for() -> None:
    assert outside("made", size=2, where="w.pt").called(in_channels=1, unknown=2) == (1, 2, 0.5, Path("w.pt"))
    assert outside("Plain", width=4).called(in_channels=1, num_classes=7).made == (7, 4)
    assert outside("anything", a=1).called(b=2) == {"a": 1}
    assert outside("unread", size="x").called() == "x"  # a type that cannot be read checks nothing


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("Net", {"sise": 3}, "no option 'sise'; did you mean 'size'"),
        ("Net", {"size": "x"}, "'size': a whole number is wanted, not 'x'"),
        ("made", {"sise": 3}, "no option 'sise'; did you mean 'size'"),
        ("made", {"size": "x"}, "'size': a whole number is wanted, not 'x'"),
        ("made", {"size": True}, "'size': a whole number is wanted, not true"),
        ("made", {}, "'size': is missing; give it"),
        ("made", {"size": 1, "in_channels": 3}, "no option 'in_channels'"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(FedletheError, match=f"thing '{__name__}:{name}'.*{words}"):
        outside(name, **options).checked("in_channels")


def test_what_fails_says_where() -> None:
    with pytest.raises(FedletheError, match=r"ZeroDivisionError: no such number, test_deferred.py line \d+\); correct"):
        outside("fails").called()


def test_a_name_that_no_package_brings_is_told_when_it_is_used() -> None:
    gone = Outside[Any](registry=REGISTRY, name="gone", options={})
    with pytest.raises(FedletheError, match=r"thing 'gone': no installed package brings it \(.*fedlethe.tests\)"):
        _ = gone.kind


def test_options_are_those_of_the_table_wherever_a_thing_comes_from() -> None:
    model = OutsideModel(outside=outside("gone", size=3))
    assert isinstance(model, FromOutside)
    assert options_of(model) == {"size": 3}
    assert options_of(SmallCnn()) == {"norm": "group"}


def test_what_does_not_tell_its_parameters_has_none() -> None:
    assert list(parameters(made)) == ["in_channels", "size", "ratio", "where"]
    assert parameters(dict) == {}
