# SPDX-License-Identifier: MIT
"""A strategy's own state (momentum, moments, a clipping norm that adapts), as bytes and back.

What counts as state is whatever differs from a strategy freshly made: arrays, Flower's records of arrays, and plain
values, in the strategy and in those that it wraps. Its options stay those that it was made with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedlethe import tensors
from fedlethe.errors import ConfigError, IntegrityError

PLAIN = (bool, int, float, str, type(None))
ARRAYS = (np.ndarray, np.generic)
"""Arithmetic on an array without dimensions gives a scalar of numpy's: it is as much of a state as its neighbours."""

SEPARATOR = "/"

Arrays = dict[str, npt.NDArray[Any]]


def pack(arrays: Mapping[str, npt.NDArray[Any]], plain: Mapping[str, Any]) -> bytes:
    """Arrays and plain values as the content of one safetensors file."""
    held = {name: np.array(array, order="C") for name, array in arrays.items()}
    return safetensors.numpy.save(held, {"plain": json.dumps(dict(plain))})


def unpack(content: bytes, where: Path) -> tuple[Arrays, dict[str, Any]]:
    """What `pack` made; `where` names the file in messages.

    Raises:
        IntegrityError: It is not whole, or holds something else.
    """
    arrays, metadata = tensors.read_arrays(content, where)
    try:
        plain = json.loads(metadata["plain"])
    except (KeyError, ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise IntegrityError(f"{where}: holds no state of a strategy; restore this file from a backup")
    return arrays, plain


def strategies(strategy: Strategy) -> Iterator[tuple[str, Strategy]]:
    """A strategy and those that it wraps, each with its place, such as 'strategy/strategy'."""
    todo = [("", strategy)]
    while todo:
        place, one = todo.pop()
        yield place, one
        todo += [(f"{place}{name}{SEPARATOR}", held) for name, held in vars(one).items() if isinstance(held, Strategy)]


def plain_values(strategy: Strategy) -> dict[str, Any]:
    """The plain attributes of a strategy and of those that it wraps."""
    return {
        place + name: value
        for place, one in strategies(strategy)
        for name, value in vars(one).items()
        if isinstance(value, PLAIN) and not isinstance(value, ARRAYS)
    }


def state(strategy: Strategy, fresh: Mapping[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """A strategy's state.

    Args:
        strategy: After a round.
        fresh: `plain_values` of it when it was new.

    Returns:
        Arrays, and plain values: those that changed, and the form of each group of arrays.
    """
    arrays: Arrays = {}
    plain = {name: value for name, value in plain_values(strategy).items() if not _same(value, fresh.get(name))}
    for place, one in strategies(strategy):
        for name, value in vars(one).items():
            parts = _parts(value)
            if parts is not None:
                form, held = parts
                plain[place + name] = {"form": form, "names": list(held)}
                arrays |= {f"{place}{name}{SEPARATOR}{key}": array for key, array in held.items()}
    return arrays, plain


def restore(strategy: Strategy, arrays: Mapping[str, npt.NDArray[Any]], plain: Mapping[str, Any]) -> None:
    """Give a fresh strategy the state that `state` took from one like it.

    Raises:
        ConfigError: It is another strategy, or one whose privacy budget would start anew.
    """
    places = dict(strategies(strategy))
    for one in places.values():
        # Before anything is set: a strategy that is refused stays as it was.
        if getattr(one, "accountant", None) is not None:
            raise ConfigError(
                f"{type(one).__name__}: its privacy accountant keeps no record on disk, so a resumed run would count "
                "from zero; begin a new run, or train without an accountant and account for all rounds together"
            )
    for name, value in plain.items():
        place, _, attribute = name.rpartition(SEPARATOR)
        holder = places.get(place + SEPARATOR if place else "")
        if holder is None or not hasattr(holder, attribute):
            raise ConfigError(
                f"{type(strategy).__name__}: the record is of another strategy (it has {name}); use the same again"
            )
        setattr(holder, attribute, _whole(name, value, arrays) if isinstance(value, dict) else value)


def _same(value: Any, other: Any) -> bool:
    both_nan = isinstance(value, float) and isinstance(other, float) and math.isnan(value) and math.isnan(other)
    # The types as well: True == 1, and a counter that became a flag is a change. NaN is not equal to itself.
    return both_nan or (type(value) is type(other) and value == other)


def _parts(value: Any) -> tuple[str, Arrays] | None:
    """The arrays in an attribute, by name, and in what form they lie there; None where it is none of arrays."""
    if isinstance(value, ARRAYS):
        return "array", {"": np.asarray(value)}
    if isinstance(value, ArrayRecord):
        return "record", {name: array.numpy() for name, array in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, ARRAYS) for one in value):
        return "list", {str(number): np.asarray(one) for number, one in enumerate(value)}
    if isinstance(value, dict) and value and all(isinstance(one, ARRAYS) for one in value.values()):
        return "dict", {str(name): np.asarray(one) for name, one in value.items()}
    return None


def _whole(name: str, value: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    try:
        form = value["form"]
        held = {key: arrays[f"{name}{SEPARATOR}{key}"].copy() for key in value["names"]}
        if form == "array":
            return held[""]
    except (KeyError, TypeError):
        raise IntegrityError(f"the record's state lacks the arrays of '{name}'; use another record") from None
    if form == "record":
        return ArrayRecord({key: Array(array) for key, array in held.items()})
    return list(held.values()) if form == "list" else held
