# SPDX-License-Identifier: MIT
"""Names to classes and functions: those that come with fedlethe, those of installed packages, and import paths.

A row of fedlethe's own is a text such as 'fedlethe.models.small_cnn:SmallCnn', and is imported when it is asked for. An
installed package adds names by entry points, in its pyproject.toml:

    [project.entry-points."fedlethe.models"]
    my-net = "mylab.nets:MyNet"

What is in no such list has its import path for a name, 'mylab.nets:MyNet': of an installed package, or of a file in the
current folder (mylab/nets.py).
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, get_type_hints, runtime_checkable

from fedlethe.document import check_names, checked, construct, plain, toml_value
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.files import sha256_of

T = TypeVar("T")
Problem = Callable[[Any], "str | None"]
"""Says what is wrong with what stands behind a name, and what to do; None where nothing is."""

IN_PYTHON = (
    "handed over from Python, so no command can find it; open the run in Python: fedlethe.open_run(RUN, model=..., "
    "data=...). Commands work on runs whose parts have names: --model mylab.nets:MyNet, --data mylab.cohort:load"
)
"""What is said of a part that only a Python program has."""

GIVEN = "given"
"""The name of such a part in a configuration."""


class Registry(Mapping[str, T]):
    """A table of names.

    Iteration and `len` give fedlethe's own rows, then the names of installed entry points. An import path is a key,
    too, but is in no list.

    Args:
        what: What the names stand for, in messages: 'model'.
        group: The entry points' group.
        rows: Name to 'package.module:Name', fedlethe's own.
        problem: Looks at what comes from outside.
    """

    def __init__(self, what: str, group: str, rows: Mapping[str, str], problem: Problem) -> None:
        self.what = what
        self.group = group
        self.rows = dict(rows)
        self.problem = problem

    def __getitem__(self, name: str) -> T:
        """What stands behind a name.

        Raises:
            KeyError: No row and no installed package has the name.
            FedletheError: It cannot be imported, is not there, or is of the wrong kind; or two packages bring it.
        """
        if not isinstance(name, str):
            raise KeyError(name)
        found = [] if ":" in name else self._entry_points(name)
        if name in self.rows and not found:
            known: T = _attribute(self.rows[name], f"{self.what} '{name}'")
            return known
        if ":" not in name and not found:
            raise KeyError(name)
        where, path = f"{self.what} '{name}'", name
        if found:
            path = found[0].value
            where += f" (entry point {path}{_package(found[0])})"
        else:
            _current_folder_last()
        kind: T = _attribute(path, where)
        if problem := self.problem(kind):
            raise ConfigError(f"{where}: {problem}")
        return kind

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (":" in name or name in self.rows or bool(self._entry_points(name)))

    def __iter__(self) -> Iterator[str]:
        yield from self.rows
        yield from sorted({point.name for point in self._entry_points(None)})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _entry_points(self, name: str | None) -> list[EntryPoint]:
        """The entry points of a name, none or one; or of all names.

        Raises:
            FedletheError: A name is another one's, or fedlethe's own.
        """
        points = entry_points(group=self.group) if name is None else entry_points(group=self.group, name=name)
        found: dict[str, EntryPoint] = {}
        for point in points:
            other = f"{found[point.name].value}{_package(found[point.name])}" if point.name in found else None
            if point.name in self.rows:
                other = f"fedlethe's own {self.rows[point.name]}"
            if other is not None:
                raise ConfigError(
                    f"{self.what} '{point.name}': there are two of this name, {other} and {point.value}"
                    f"{_package(point)}; uninstall a package, or call them by their import paths"
                )
            found[point.name] = point
        return list(found.values())


def _package(point: EntryPoint) -> str:
    return "" if point.dist is None else f" of {point.dist.name}"


def _current_folder_last() -> None:
    """Let modules of the current folder be imported, after everything that is installed."""
    folder = str(Path.cwd())
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)


def _attribute(path: str, where: str) -> Any:
    """What an import path names.

    Raises:
        FedletheError: It cannot be imported, or has no such name.
    """
    module_name, _, name = path.partition(":")
    parts = name.split(".")
    if not all(part.isidentifier() for part in (*module_name.split("."), *parts)):
        raise ConfigError(f"{where}: is no import path; write PACKAGE.MODULE:NAME, such as mylab.nets:MyNet")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{where}: there is no module '{error.name}'; install the package that brings it, or correct the name"
            ) from None
        raise ConfigError(
            f"{where}: {module_name} needs the module '{error.name}', which is not there; install the package that "
            "brings it"
        ) from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: cannot be imported ({reason(error)}); correct it") from error
    try:
        return reduce(getattr, parts, module)
    except AttributeError:
        close = difflib.get_close_matches(name, vars(module), 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ConfigError(f"{where}: {module_name} has no '{name}'; {hint}correct the name") from None


def reason(error: BaseException) -> str:
    """What an error of somebody else's code says, in one line, with the line of the code."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f", {Path(last[0].filename).name} line {last[0].lineno}" if last else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"


def frozen_dataclass(kind: Any) -> bool:
    """Whether it is a class whose fields are its options, and whose values do not change."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def lacking(kind: Any, names: Mapping[str, str]) -> str | None:
    """What a class must have and lacks, as a `Problem` says it.

    Args:
        kind: The class.
        names: Each name, and how it is written.

    Example:
        >>> lacking(int, {"load": "def load(self) -> LabelledImages"})
        "has no 'load'; write: def load(self) -> LabelledImages"
    """
    missing = next((name for name in names if not hasattr(kind, name)), None)
    return None if missing is None else f"has no '{missing}'; write: {names[missing]}"


def path_of(kind: Any) -> str:
    """The import path of a class or function."""
    return f"{kind.__module__}:{kind.__qualname__}"


# What a configuration holds of them


@dataclass(frozen=True, kw_only=True)
class Outside(Generic[T]):
    """Something that does not come with fedlethe: its name and its options; it is looked up when it is used.

    So a run folder can be read on a machine that does not have its code.

    Attributes:
        registry: Knows the name.
        name: The import path, or the entry point's name.
        options: As its table in the configuration has them.
    """

    registry: Registry[Any]
    name: str
    options: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Names it in messages."""
        return f"{self.registry.what} '{self.name}'"

    @property
    def kind(self) -> Any:
        """The class or function.

        Raises:
            FedletheError: It is not there, or is of the wrong kind.
        """
        try:
            return self.registry[self.name]
        except KeyError:
            raise ConfigError(
                f"{self.where}: no installed package brings it (as an entry point of {self.registry.group}); install "
                "the one that does, or correct the name"
            ) from None

    def built(self) -> T:
        """The frozen dataclass with its options.

        Raises:
            FedletheError: See `kind`; or an option is wrong.
        """
        value: T = construct(self.kind, self.options, self.where)
        return value

    def called(self, **offered: Any) -> Any:
        """What the function or class returns, called with the options by name.

        Args:
            **offered: Given along, each only where its signature has the name.

        Raises:
            FedletheError: See `kind`; or an option is wrong, or the call fails.
        """
        taken = parameters(self.kind)
        given = {name: value for name, value in offered.items() if name in taken}
        return self.guarded(lambda: self.kind(**self._options(set(offered)), **given))

    def guarded(self, call: Callable[[], Any]) -> Any:
        """What a call of its code returns.

        Raises:
            FedletheError: It fails; one line says where.
        """
        try:
            return call()
        except FedletheError:
            raise
        except Exception as error:
            raise ConfigError(f"{self.where}: fails ({reason(error)}); correct it, or its options") from error

    def checked(self, *offered: str) -> Outside[T]:
        """The same, its options as they are stored: paths absolute, a dataclass's defaults filled in.

        Raises:
            FedletheError: See `kind`; or an option is wrong.
        """
        if frozen_dataclass(self.kind):
            return replace(self, options=plain(self.built()))
        options = self._options(set(offered))
        return replace(self, options={name: toml_value(value) for name, value in options.items()})

    def _options(self, offered: set[str]) -> dict[str, Any]:
        """The options as a function's annotations have them."""
        kind, taken = self.kind, parameters(self.kind)
        named = {name: one for name, one in taken.items() if name not in offered}
        if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
            by_name = [name for name, one in named.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
            check_names("option", self.options, by_name, self.where)
        for name, one in named.items():
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD and name not in self.options:
                raise ConfigError(f"{self.where} '{name}': field required")
        try:
            hints = get_type_hints(vars(kind).get("__init__") if isinstance(kind, type) else kind)
        except Exception:  # annotations that cannot be read are not checked
            hints = {}
        return {
            name: checked(hints[name], value, f"{self.where} '{name}'") if name in hints else value
            for name, value in self.options.items()
        }


@runtime_checkable
class FromOutside(Protocol):
    """What wraps an Outside for the part of fedlethe that uses it."""

    @property
    def outside(self) -> Outside[Any]:
        """It."""
        ...


def options_of(value: Any) -> dict[str, Any]:
    """The options of a model, data source or feature map as TOML has them, wherever it comes from."""
    if getattr(value, "is_given", False):
        return {}  # it was handed over from Python: nothing of it can be written into a file
    return dict(value.outside.options) if isinstance(value, FromOutside) else plain(value)


def parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    """What a function, or a class's constructor, is called with; nothing where it does not tell."""
    try:
        known = inspect.signature(kind).parameters
    except ValueError:
        return {}
    return {name: one for name, one in known.items() if one.kind is not one.VAR_POSITIONAL}


# Which code it is


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The code behind a name.

    Attributes:
        name: The name.
        path: The file that it is written in.
        sha256: Of that file.
    """

    name: str
    path: str
    sha256: str

    @classmethod
    def of(cls, name: str, kind: Any) -> SourceFile:
        """The file of a class or function that has this name in a registry.

        Raises:
            FedletheError: It is in no file.
        """
        try:
            file = inspect.getsourcefile(inspect.unwrap(kind))
        except TypeError:
            file = None
        if file is None or not Path(file).is_file():
            raise ConfigError(f"'{name}': is written in no file that a run could name; put it into a module")
        return cls(name=name, path=str(Path(file).resolve()), sha256=sha256_of(Path(file)))

    def demand(self, known: Mapping[str, Any], where: str) -> None:
        """Refuse code that is not the one that a run was trained with.

        Args:
            known: What the run has on record.
            where: Names the run and what this is.

        Raises:
            FedletheError: The file has changed.
        """
        if self.sha256 != known.get("sha256"):
            raise ConfigError(
                f"{where} '{self.name}': {self.path} is not the file that it was trained with (SHA-256 "
                f"{self.sha256[:12]}, not {str(known.get('sha256'))[:12]}); put the file back as it was (then: "
                f"{known.get('path')}), or train again"
            )
