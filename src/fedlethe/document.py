# SPDX-License-Identifier: MIT
"""Tables of plain values, as TOML gives them, and the objects that they stand for."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import tomlkit
import tomlkit.exceptions
from pydantic import TypeAdapter, ValidationError

from fedlethe.errors import ConfigError

T = TypeVar("T")
Document: TypeAlias = dict[str, Any]
"""A configuration as TOML gives it: tables of plain values."""


def read_toml(path: Path) -> Document:
    """Read a TOML file.

    Raises:
        FedletheError: The file is missing or is not TOML; the message names the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({error.strerror or error})") from None
    return parse_toml(content, path)


def parse_toml(content: bytes, where: Path) -> Document:
    """The tables of a TOML file's content; `where` names the file in messages.

    Raises:
        FedletheError: It is not TOML; the message names the line.
    """
    try:
        return tomlkit.parse(content.decode("utf-8")).unwrap()
    except (UnicodeDecodeError, tomlkit.exceptions.ParseError) as error:
        raise ConfigError(f"{where}: cannot be read as TOML ({' '.join(str(error).split())})") from None


def layered(*layers: Document) -> Document:
    """Documents one over the other. A table that names another data source or model replaces the one below it."""
    result: Document = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if not (isinstance(value, Mapping) and isinstance(below, Mapping)):
                result[key] = value
            elif any(name in value and value[name] != below.get(name) for name in ("source", "name")):
                result[key] = dict(value)
            else:
                result[key] = layered(dict(below), dict(value))
    return result


def entry(what: str, name: str, table: Mapping[str, T]) -> T:
    """The row of one of the tables (DATASETS, MODELS, METHODS) by its name.

    Raises:
        FedletheError: There is no such row; the message lists them.
    """
    if name not in table:  # of a registry an import path is a key, and in no list
        check_names(what, [name], table, "")
    return table[name]


def construct(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Call a dataclass's constructor with a table's values, checked against its annotations.

    Raises:
        FedletheError: A name is misspelt, a value missing, or of another type or range; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a table, not {values!r}")
    check_names("option", values, [option.name for option in fields(kind)], where)  # type: ignore[arg-type]
    built: T = checked(kind, dict(values), where)
    for name, value in values.items():
        if not _is_number_for_number(value, getattr(built, name)):
            raise ConfigError(f"{where} '{name}': a number is wanted, not {str(value).lower()}")
    return built


def _is_number_for_number(given: Any, taken: Any) -> bool:
    """Whether no true or false was taken for a number, which they are to Python and not to who wrote them."""
    if isinstance(given, bool):
        return isinstance(taken, bool) or not isinstance(taken, (int, float))
    if isinstance(given, (list, tuple)) and isinstance(taken, (list, tuple)):
        return all(map(_is_number_for_number, given, taken))
    return True


def checked(kind: Any, value: Any, where: str) -> Any:
    """A value of this type.

    Raises:
        FedletheError: It is none.
    """
    if kind is int and isinstance(value, bool):
        raise ConfigError(f"{where}: a whole number is wanted, not {str(value).lower()}")
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place = " ".join([where, *(f"'{part}'" for part in first["loc"] if isinstance(part, str))])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{place}: {message[0].lower()}{message[1:]}") from None


def check_names(what: str, given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse a name that is not known, with the one that was probably meant.

    Raises:
        FedletheError: A given name is not among the known ones.
    """
    known = list(known)
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            listed = f"there is {', '.join(known)}" if known else "it takes none"
            raise ConfigError(f"{where + ': ' if where else ''}no {what} '{name}'; {hint}{listed}")


def name_and_options(table: Mapping[str, Any], key: str, where: str) -> tuple[str, dict[str, Any]]:
    """The name under a key of a table, and the table's other entries.

    Raises:
        FedletheError: The key is missing.
    """
    rest = dict(table)
    if key not in rest:
        raise ConfigError(f"{where}: '{key}' is missing from the table [{where}]")
    return str(rest.pop(key)), rest


def plain(value: Any) -> dict[str, Any]:
    """A dataclass's fields as TOML has them: no nulls, paths absolute."""
    return {name: toml_value(item) for name, item in dataclasses.asdict(value).items() if item is not None}


def toml_value(item: Any) -> Any:
    """A value as TOML has it: a path absolute, a tuple as a list."""
    if isinstance(item, Path):
        return str(item.expanduser().resolve())
    return [toml_value(part) for part in item] if isinstance(item, (list, tuple)) else item


def assignments(settings: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as a dictionary; a value that TOML cannot read is taken as a string.

    Raises:
        FedletheError: A text has no '='.

    Example:
        >>> assignments(["scale=0.5", "optimizer=adam"])
        {'scale': 0.5, 'optimizer': 'adam'}
    """
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting}: must be KEY=VALUE, such as --set scale=0.5")
        try:
            values[key.strip()] = tomlkit.parse(f"value = {text}").unwrap()["value"]
        except tomlkit.exceptions.ParseError:
            values[key.strip()] = text
    return values
