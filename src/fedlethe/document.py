# SPDX-License-Identifier: MIT
"""Tables of plain values, as TOML gives them, and the objects that they stand for."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import tomlkit
import tomlkit.exceptions
from pydantic import TypeAdapter, ValidationError

from fedlethe.errors import ConfigError

T = TypeVar("T")
Document: TypeAlias = dict[str, Any]
"""A configuration as TOML gives it: tables of plain values."""

OF_CHOICE: Mapping[str, Mapping[str, Mapping[str | None, tuple[str, ...]]]] = {
    "partition": {
        "scheme": {
            None: ("clients",),  # the data may name their sites, or be dealt out to so many
            "site": (),
            "iid": ("clients",),
            "dirichlet": ("clients", "alpha"),
            "quantity": ("quantities",),
        }
    },
    "local": {"optimizer": {None: ("momentum",), "sgd": ("momentum",), "adam": (), "adamw": ()}},
}
"""Tables, the key in each that chooses, and for each choice the options that it uses and not every choice does."""


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
        return deepcopy(_tables(content))
    except (UnicodeDecodeError, tomlkit.exceptions.TOMLKitError) as error:
        raise ConfigError(f"{where}: cannot be read as TOML ({' '.join(str(error).split())})") from None


def unused(key: str, table: Mapping[str, Any]) -> list[str]:
    """The options in a table of this key that its choice does not use.

    Example:
        >>> unused("partition", {"scheme": "iid", "clients": 3, "alpha": 0.5})
        ['alpha']
    """
    found: list[str] = []
    for chooser, choices in OF_CHOICE.get(key, {}).items():
        used = choices.get(table.get(chooser), ())
        options = dict.fromkeys(option for every in choices.values() for option in every)
        found += [option for option in options if option in table and option not in used]
    return found


@lru_cache(maxsize=32)
def _tables(content: bytes) -> Document:
    """The tables of a content, which a command reads many times: TOML's grammar is slow to follow."""
    return tomlkit.parse(content.decode("utf-8")).unwrap()


def layered(*layers: Document) -> Document:
    """Documents one over the other.

    A table that names another data source or model replaces the one below it. One that chooses anew (another scheme of
    the partition, another optimizer) takes from below only what its choice uses.

    Raises:
        ConfigError: A table lies over something that is none.
    """
    result: Document = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(value, Mapping) and key in result and not isinstance(below, Mapping):
                raise ConfigError(f"'{key}' must be a table, [{key}]")
            if not (isinstance(value, Mapping) and isinstance(below, Mapping)):
                result[key] = value
            elif any(name in value and value[name] != below.get(name) for name in ("source", "name")):
                result[key] = dict(value)
            else:
                merged = layered(dict(below), dict(value))
                dropped = [option for option in unused(key, merged) if option not in value]
                result[key] = {name: item for name, item in merged.items() if name not in dropped}
    return result


@runtime_checkable
class _WithPaths(Protocol):
    """A table whose rows can be named by an import path, too (see `plugins.Registry`)."""

    def refuse_path(self, name: str) -> None: ...


def entry(what: str, name: str, table: Mapping[str, T]) -> T:
    """The row of one of the tables (DATASETS, MODELS, METHODS) by its name.

    Raises:
        FedletheError: There is no such row; the message lists them.
    """
    if name not in table:  # of a registry an import path is a key, and in no list
        if isinstance(table, _WithPaths):
            table.refuse_path(name)
        check_names(what, [name], table, "")
    return table[name]


def construct(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Call a dataclass's constructor with a table's values, checked against its annotations.

    Raises:
        FedletheError: A name is misspelt, a value missing, or of another type or range; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a table, not {values!r}")
    values = python_values(values)
    check_names("option", values, [option.name for option in fields(kind)], where)  # type: ignore[arg-type]
    built: T = checked(kind, dict(values), where)
    for name, value in values.items():
        _demand_taken_as_given(value, getattr(built, name), f"{where} '{name}'")
    return built


adapter_of: Callable[[Any], TypeAdapter[Any]] = lru_cache(maxsize=256)(TypeAdapter)
"""What checks values against a type; made once for each, which takes longer than many checks."""


def checked(kind: Any, value: Any, where: str) -> Any:
    """A value of this type.

    Raises:
        FedletheError: It is none.
    """
    value = python_values(value)
    try:
        taken = adapter_of(kind).validate_python(value)
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place, at = where, value
        for name in first["loc"]:
            if not isinstance(at, Mapping):
                break  # what follows is a place in a list, or pydantic's name of a type
            place, at = f"{place} '{name}'", at.get(name)
        raise ConfigError(f"{place}: {_problem(first)}") from None
    _demand_taken_as_given(value, taken, where)
    return taken


WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "path": "a path",
    "dict": "a table",
    "mapping": "a table",
    "dataclass": "a table",
    "list": "a list",
    "sequence": "a list",
    "tuple": "a list",
}
"""What pydantic's kinds of errors begin with, in a reader's words."""


def _problem(error: Any) -> str:
    """What pydantic found, in plain words, with the value."""
    kind, given = error["type"], _shown(error["input"])
    if kind == "missing":
        return "is missing; give it"
    if kind == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return f"{message[0].lower()}{message[1:]}"
    if kind == "is_instance_of":
        named = str(error["ctx"]["class"])
        return f"{WANTED.get(named.lower(), f'an {named}')} is wanted, not {given}"
    if kind == "literal_error":
        return f"{error['ctx']['expected']} is wanted, not {given}"
    wanted = WANTED.get(kind.split("_")[0])
    return f"{wanted} is wanted, not {given}" if wanted else f"{given} cannot be taken ({error['msg']}); correct it"


def _shown(value: Any) -> str:
    """A value as who wrote it knows it, cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _demand_taken_as_given(given: Any, taken: Any, where: str) -> None:
    """Refuse a text or a true that was taken for a number, a number for a true, or bytes for a text.

    They are such to Python alone.
    """
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        for name in given.keys() & taken.keys():
            _demand_taken_as_given(given[name], taken[name], f"{where} '{name}'")
    if isinstance(given, (list, tuple)) and isinstance(taken, (list, tuple)):
        for one, as_one in zip(given, taken, strict=False):
            _demand_taken_as_given(one, as_one, where)
    if isinstance(taken, str) and isinstance(given, (bytes, bytearray)):
        raise ConfigError(f"{where}: a text is wanted, not {_shown(given)}")
    if not isinstance(taken, (bool, int, float)) or not isinstance(given, (str, bool, int, float)):
        return
    if isinstance(given, str) or isinstance(given, bool) != isinstance(taken, bool):
        raise ConfigError(f"{where}: {WANTED[type(taken).__name__]} is wanted, not {_shown(given)}")


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


def demand_each_once(what: str, given: Sequence[Any]) -> None:
    """Refuse a value that is given twice: what it asks for would be done once, and the other is a slip.

    Raises:
        FedletheError: There is one; the message names it.

    Example:
        >>> demand_each_once("sigma", [0.01, 0.02, 0.01])
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: sigma 0.01: is given twice; give each once
    """
    if twice := [value for place, value in enumerate(given) if value in given[:place]]:
        raise ConfigError(f"{what} {twice[0]}: is given twice; give each once")


def name_and_options(table: Mapping[str, Any], key: str, where: str) -> tuple[str, dict[str, Any]]:
    """The name under a key of a table, and the table's other entries.

    Raises:
        FedletheError: The key is missing, or holds no text.
    """
    rest = dict(table)
    if key not in rest:
        raise ConfigError(f"{where}: '{key}' is missing from the table [{where}]")
    if not isinstance(name := rest.pop(key), str):
        raise ConfigError(f"{where} '{key}': a name is wanted, not {_shown(name)}")
    return name, rest


def python_values(value: Any) -> Any:
    """The same in tables and lists, with Python's own numbers in the place of numpy's, and paths as texts.

    Example:
        >>> import numpy as np
        >>> python_values({"rounds": np.int64(2), "scales": [np.float32(0.5)], "root": Path("data")})
        {'rounds': 2, 'scales': [0.5], 'root': 'data'}
    """
    if isinstance(value, Mapping):
        return {name: python_values(item) for name, item in value.items()}
    if type(value) in (list, tuple):  # no named tuple, which is made of its fields
        return type(value)(python_values(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    # numpy is not imported for it: without it there is none of its numbers.
    return value.item() if type(value).__module__ == "numpy" and value.ndim == 0 else value


def plain(value: Any) -> dict[str, Any]:
    """A dataclass's fields as TOML has them: no nulls, paths absolute."""
    return {name: toml_value(item) for name, item in dataclasses.asdict(value).items() if item is not None}


def toml_value(item: Any) -> Any:
    """A value as TOML has it: a path absolute, a tuple as a list."""
    if isinstance(item, Path):
        return str(item.expanduser().resolve())
    return [toml_value(part) for part in item] if isinstance(item, (list, tuple)) else item


def in_tables(values: Mapping[str, Any]) -> Document:
    """Values in the tables that their keys name.

    Example:
        >>> in_tables({"seed": 3, "local.epochs": 2, "local.optimizer": "adam"})
        {'seed': 3, 'local': {'epochs': 2, 'optimizer': 'adam'}}
    """
    found: Document = {}
    for path, value in values.items():
        *parents, key = path.split(".")
        nested: Document = {key: value}
        for parent in reversed(parents):
            nested = {parent: nested}
        found = layered(found, nested)
    return found


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
            raise ConfigError(f"'{setting}': must be KEY=VALUE, such as scale=0.5")
        try:
            values[key.strip()] = tomlkit.parse(f"value = {text}").unwrap()["value"]
        except tomlkit.exceptions.ParseError:
            values[key.strip()] = text
    return values
