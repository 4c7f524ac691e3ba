# SPDX-License-Identifier: MIT
"""What a check is given in place of an instance, a shape or a number, told in one line."""

from __future__ import annotations

from typing import Any

from fedlethe.document import python_values
from fedlethe.errors import ConfigError


def demand_instance(check: str, given: Any, example: str) -> None:
    """Refuse what can be no instance of a class that somebody wrote.

    Args:
        check: The function that was called.
        given: What it was given.
        example: What it could be given.

    Raises:
        ConfigError: It is a class, or a value of Python's own.

    Example:
        >>> demand_instance("check_method", "influence", "...")
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: check_method: the str 'influence' was given; give an instance, such as ...
    """
    if isinstance(given, type):
        raise ConfigError(f"{check}: the class {given.__name__} was given; give an instance, {given.__name__}()")
    if given is None or type(given).__module__ == "builtins":
        shown = "None" if given is None else f"the {type(given).__name__} {' '.join(repr(given).split())[:60]}"
        raise ConfigError(f"{check}: {shown} was given; give an instance, such as {example}")


def sizes(given: Any) -> tuple[int, ...]:
    """Whole numbers above 0, numpy's as Python's own; none where it is no list of such, or empty.

    Example:
        >>> sizes([1, 32, 32]), sizes((6,)), sizes(6), sizes((1, 0))
        ((1, 32, 32), (6,), (), ())
    """
    plain = python_values(tuple(given)) if isinstance(given, (tuple, list)) else ()
    whole = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in plain)
    return plain if whole else ()
