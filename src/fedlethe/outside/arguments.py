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

from fedlethe.document import checked
from fedlethe.errors import ConfigError

Call = TypeVar("Call", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)

OWN = {"ErasurePlan": "fedlethe.erasing.plan", "Erasure": "fedlethe.erasing.record"}
"""Classes of fedlethe that the face takes, and where they are; they are imported when one has to be told."""


class _Names(dict[str, Any]):
    """What the names in an annotation stand for; what is not known here can be anything."""

    def __missing__(self, name: str) -> Any:
        if name in OWN:
            from pydantic import InstanceOf

            return InstanceOf[getattr(import_module(OWN[name]), name)]  # type: ignore[misc]
        return getattr(builtins, name, Any)


NAMES = _Names(Path=Path, Sequence=Sequence, Mapping=Mapping, ClientId=str, Document=dict[str, Any])


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
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            one = signature.parameters[name]
            if one.annotation is not one.empty and one.kind is not one.VAR_KEYWORD:
                for each in value if one.kind is one.VAR_POSITIONAL else [value]:
                    _demand(each, one.annotation, name)
        return call(*args, **kwargs)

    return cast("Call", with_checks)


def checked_methods(kind: Kind) -> Kind:
    """The same class, the arguments of its public methods checked (see `checked_arguments`)."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, checked_arguments(method))
    return kind


def _demand(value: Any, annotation: str, name: str) -> None:
    try:
        kind = eval(annotation, {}, NAMES)
    except (AttributeError, TypeError):
        return  # a type of a library, such as nn.Module, which says more than this could
    plain = value.tolist() if type(value).__module__ == "numpy" else value
    taken = checked(kind, plain, name)
    if isinstance(plain, float) and isinstance(taken, int):
        raise ConfigError(f"{name}: a whole number is wanted, not {plain}")
