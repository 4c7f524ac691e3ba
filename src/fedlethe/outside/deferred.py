# SPDX-License-Identifier: MIT
"""What a configuration holds of code from outside: a name and options, looked up when they are used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, get_type_hints, runtime_checkable

from fedlethe.document import check_names, checked, construct, plain, toml_value
from fedlethe.errors import ConfigError
from fedlethe.outside.plugins import Registry, frozen_dataclass, guarded

T = TypeVar("T")


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
        return guarded(call, self.where, "correct it, or its options")

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
                raise ConfigError(f"{self.where} '{name}': is missing; give it")
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


@runtime_checkable
class OfParts(Protocol):
    """What is made of several, each with options of its own."""

    def options(self) -> dict[str, Any]:
        """Its options as TOML has them."""
        ...


def options_of(value: Any) -> dict[str, Any]:
    """The options of a model, data source, feature map or aggregator as TOML has them, wherever it comes from."""
    if getattr(value, "is_given", False):
        return dict(getattr(value, "options", {}))  # handed over from Python: little of it can be written into a file
    if isinstance(value, FromOutside):
        return dict(value.outside.options)
    return value.options() if isinstance(value, OfParts) else plain(value)


def parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    """What a function, or a class's constructor, is called with; nothing where it does not tell."""
    try:
        known = inspect.signature(kind).parameters
    except ValueError:
        return {}
    return {name: one for name, one in known.items() if one.kind is not one.VAR_POSITIONAL}
