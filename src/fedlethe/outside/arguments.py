# SPDX-License-Identifier: MIT
"""Checks what a Python program hands to the public face against its annotations; says in plain words what is wrong."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

from fedlethe.document import checked, python_values
from fedlethe.errors import ConfigError

Call = TypeVar("Call", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)

OWN = {
    "ErasurePlan": "fedlethe.erasing.plan",
    "Erasure": "fedlethe.erasing.record",
    "Run": "fedlethe.public.run_handle",
}
"""Classes of fedlethe that the face takes, and where they are; they are imported when one has to be told."""


class _Names(dict[str, Any]):
    """What the names in an annotation stand for; what is not known here can be anything."""

    def __missing__(self, name: str) -> Any:
        if name in OWN:
            from pydantic import InstanceOf

            return InstanceOf[getattr(import_module(OWN[name]), name)]  # type: ignore[misc]
        return getattr(builtins, name, Any)


NAMES = _Names(
    Path=Path,
    Sequence=Sequence,
    Mapping=Mapping,
    ClientId=str,
    Document=dict[str, Any],
    Layer=dict[str, Any] | Path | str,
)


def checked_arguments(call: Call) -> Call:
    """The same function; arguments of another type than its annotations name are refused.

    Raises:
        FedletheError: When it is called: the message names the argument, what is wanted and what was given.

    Example:
        >>> @checked_arguments
        ... def train(rounds: "int | None" = None) -> None: ...
        >>> train(rounds="3")
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: rounds: a whole number is wanted, not '3'
    """
    signature = inspect.signature(call)

    @functools.wraps(call)
    def with_checks(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            one = signature.parameters[name]
            if one.annotation is one.empty or one.kind is one.VAR_KEYWORD:
                continue
            if one.kind is one.VAR_POSITIONAL:
                bound.arguments[name] = tuple(_taken(each, one.annotation, name) for each in value)
            else:
                bound.arguments[name] = _taken(value, one.annotation, name)
        return call(*bound.args, **bound.kwargs)

    return cast("Call", with_checks)


def checked_methods(kind: Kind) -> Kind:
    """The same class, the arguments of its public methods checked (see `checked_arguments`)."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, checked_arguments(method))
    return kind


def _taken(value: Any, annotation: str, name: str) -> Any:
    """The value, if it fits its annotation; numpy's as Python's own, and a path as the text that is wanted, or back."""
    try:
        kind = eval(annotation, {}, NAMES)
    except (AttributeError, TypeError):
        return value  # a type of a library, such as nn.Module, which says more than this could
    if isinstance(value, str) and not value.strip():  # '' would be the current folder where a path is wanted
        raise ConfigError(f"{name}: holds an empty text; give a value, or leave it out")
    plain = value.tolist() if type(value).__module__ == "numpy" else value
    plain = python_values(plain)
    taken = checked(kind, plain, name)
    if isinstance(plain, float) and isinstance(taken, int):
        raise ConfigError(f"{name}: a whole number is wanted, not {plain}")
    return taken if isinstance(taken, (str, Path)) else plain
