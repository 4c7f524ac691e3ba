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
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, reduce, wraps
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path
from typing import Any, TypeVar

from fedlethe.document import construct
from fedlethe.errors import ConfigError, FedletheError

T = TypeVar("T")
Problem = Callable[[Any], "str | None"]
"""Says what is wrong with what stands behind a name, and what to do; None where nothing is."""

IN_PYTHON = (
    "handed over from Python, out of every command's reach; open the run in Python: fedlethe.open_run(RUN, model=..., "
    "data=..., aggregator=...). Commands work on runs whose parts have names, such as mylab.nets:MyNet and "
    "mylab.cohort:load"
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
        doc: What `help` says of it.
    """

    def __init__(self, what: str, group: str, rows: Mapping[str, str], problem: Problem, doc: str = "") -> None:
        self.what = what
        self.group = group
        self.rows = dict(rows)
        self.problem = problem
        self.__doc__ = doc or type(self).__doc__

    def __repr__(self) -> str:
        return f"<{self.what}s: {', '.join(self)}>"

    def __getitem__(self, name: str) -> T:
        """What stands behind a name.

        Raises:
            KeyError: No row and no installed package has the name.
            FedletheError: It cannot be imported, is not there, or is of the wrong kind; or two packages bring it.
        """
        if not isinstance(name, str):
            raise KeyError(name)
        found = [] if ":" in name else self._entry_points(name)
        if name in self.rows:
            where = f"{self.what} '{name}'"
            known: T = _with_checked_options(_attribute(self.rows[name], where), where)
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

    def refuse_path(self, name: str) -> None:
        """Refuse a name that is none and was probably meant as an import path.

        Raises:
            ConfigError: It names a file or a module, or has a dot where the colon belongs.
        """
        inside = "name what is in it, {}:NAME, as in mylab.nets:MyNet"
        if name.endswith(".py"):
            module = ".".join(part for part in Path(name).with_suffix("").parts if part not in ("..", "/"))
            where = "(the current folder is looked into)"
            raise ConfigError(f"{self.what} '{name}': is a file; {inside.format(module)} {where}")
        module, dot, last = name.rpartition(".")
        if _is_module(name):
            raise ConfigError(f"{self.what} '{name}': is a module; {inside.format(name)}")
        if dot and all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f"{self.what} '{name}': is no name; as an import path it is {module}:{last}")

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
        found: dict[str, EntryPoint] = {}
        for point in _installed(self.group, tuple(sys.path)):
            if name not in (None, point.name):
                continue
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


@lru_cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group in the packages of this path, which are looked through once: it takes a while."""
    return tuple(entry_points(group=group))


def _package(point: EntryPoint) -> str:
    return "" if point.dist is None else f" of {point.dist.name}"


def _current_folder_last() -> None:
    """Let modules of the current folder be imported, after everything that is installed."""
    folder = str(Path.cwd())
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)


def _is_module(name: str) -> bool:
    """Whether it can be imported; a name without a dot is too short to tell what was meant."""
    _current_folder_last()
    try:
        return "." in name and find_spec(name) is not None
    except Exception:  # whatever the package that it would be in raises
        return False


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


def guarded(call: Callable[[], T], where: str, remedy: str, kind: type[FedletheError] = ConfigError) -> T:
    """What a call of somebody else's code gives.

    Args:
        call: The call.
        where: Names the code.
        remedy: What to do where it fails.
        kind: Of the error then.

    Raises:
        FedletheError: It fails; one line says where and why.

    Example:
        >>> guarded(lambda: 1 / 0, "method 'mine'", "correct it")
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: method 'mine': fails (ZeroDivisionError: division by zero, ...); correct it
    """
    try:
        return call()
    except FedletheError:
        raise
    except (Exception, SystemExit) as error:  # there is no telling what it raises
        raise kind(f"{where}: fails ({reason(error)}); {remedy}") from error


LIBRARIES = {"torch", "numpy", "monai", "scipy", "PIL", "pydantic", "pydicom", "safetensors"}
"""Packages in which an error can be raised that is their caller's."""


MADE = ("<string>", "__init__")
"""Where Python runs the function that it writes for a dataclass."""


def reason(error: BaseException) -> str:
    """What an error of somebody else's code says, in one line, with the last line of that code that it came through."""
    # The function that a dataclass is made by is in no file.
    came = [one for one in traceback.extract_tb(error.__traceback__) if (one.filename, one.name) != MADE]
    own = [one for one in came if _is_authors(one.filename)]
    place = f", {Path(own[-1].filename).name} line {own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"


def _is_authors(file: str) -> bool:
    """Whether a file is neither fedlethe's nor Python's nor of a library that somebody else's code calls."""
    if file.startswith("<frozen ") or Path(file).is_relative_to(Path(__file__).parents[1]):
        return False
    _, installed, path = file.replace("dist-packages", "site-packages").partition("site-packages")
    if installed:
        return Path(path).parts[1] not in LIBRARIES
    return not any(Path(file).is_relative_to(get_path(name)) for name in ("stdlib", "platstdlib"))


def frozen_dataclass(kind: Any) -> bool:
    """Whether it is a class whose fields are its options, and whose values do not change."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


class _OptionError(ConfigError, ValueError):
    """An option that a class of fedlethe's own is called with; its class alone would raise a ValueError."""


def _with_checked_options(kind: Any, where: str) -> Any:
    """The same class; options of the wrong type or range that it is called with are told as a configuration's are.

    A configuration is checked by `construct`, which calls no `__init__`. A program calls the class, and there a text
    for a number would end in whatever the class first does with it.
    """
    if not frozen_dataclass(kind) or "_checked_options" in vars(kind):
        return kind
    names = [one.name for one in dataclasses.fields(kind)]
    in_order = [one.name for one in dataclasses.fields(kind) if not one.kw_only]

    @wraps(kind.__init__)
    def checked_init(self: Any, *args: Any, **options: Any) -> None:
        if len(args) > len(in_order):
            raise _OptionError(f"{where}: {len(args)} options are given without a name; name them")
        try:
            built = construct(kind, {**dict(zip(in_order, args, strict=False)), **options}, where)
        except ConfigError as error:
            raise _OptionError(str(error)) from None
        for name in names:
            object.__setattr__(self, name, getattr(built, name))

    kind.__init__ = checked_init
    kind._checked_options = True
    return kind


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
