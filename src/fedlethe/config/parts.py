# SPDX-License-Identifier: MIT
"""The parts of a configuration by their names: fedlethe's own built at once, those from outside checked or deferred.

A run keeps in run.toml, [run.outside], which code from outside its training used. Where a run is read, that code is
looked up only when it is used, so that its requests and its ledger can be read without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fedlethe.closed_form.features import FEATURES, FeatureMap, OutsideFeatures
from fedlethe.closed_form.joined import BETWEEN, Joined
from fedlethe.data import DATASETS
from fedlethe.data.federated import Source
from fedlethe.data.given import GivenSource
from fedlethe.data.outside_source import OutsideSource
from fedlethe.document import Document, check_names, checked, construct, entry
from fedlethe.errors import ConfigError
from fedlethe.federation.aggregator import AGGREGATORS, Aggregator, OutsideAggregator
from fedlethe.federation.given_aggregator import GivenAggregator
from fedlethe.files import sha256_of
from fedlethe.models import MODELS, Model, OutsideModel
from fedlethe.models.given import GivenModel
from fedlethe.outside.deferred import FromOutside, Outside, options_of
from fedlethe.outside.plugins import GIVEN, Registry
from fedlethe.outside.source_file import SourceFile
from fedlethe.types import EVERYTHING, Need
from fedlethe.unlearning import METHODS, UnlearningMethod
from fedlethe.unlearning.method import on_mean, rests_on_mean

T = TypeVar("T")


def model_of(name: str, options: Mapping[str, Any], later: bool = False) -> Model:
    """The model of this name.

    Args:
        name: A row of MODELS, an entry point, or an import path.
        options: As its table has them.
        later: Look code from outside up when it is used, and not now.

    Raises:
        FedletheError: The name, or an option, is wrong.
    """
    if name == GIVEN:
        return GivenModel()
    if (kind := _own(MODELS, name, later)) is not None:
        return construct(kind, options, f"model '{name}'")
    outside: Outside[Model] = Outside(registry=MODELS, name=name, options=options)
    return OutsideModel(outside=outside if later else outside.checked(*OutsideModel.OFFERED))


def source_of(name: str, options: Mapping[str, Any], later: bool = False) -> Source:
    """The data source of this name (see `model_of`)."""
    if name == GIVEN:
        return GivenSource()
    if (kind := _own(DATASETS, name, later)) is not None:
        return construct(kind, options, f"data source '{name}'")
    outside: Outside[Source] = Outside(registry=DATASETS, name=name, options=options)
    return OutsideSource(outside=outside if later else outside.checked())


def map_of(name: str, options: Mapping[str, Any], later: bool = False) -> FeatureMap:
    """The feature map of this name (see `model_of`), or of several with '+' between, each with a table of its own.

    Raises:
        FedletheError: See `model_of`; or what is joined comes from outside, or stands there twice.
    """
    if BETWEEN in name:
        return _joined(name, options)
    if (kind := _own(FEATURES, name, later)) is not None:
        return construct(kind, options, f"features '{name}'")
    outside: Outside[FeatureMap] = Outside(registry=FEATURES, name=name, options=options)
    return OutsideFeatures(outside=outside if later else outside.checked())


def _joined(name: str, options: Mapping[str, Any]) -> Joined:
    names = name.split(BETWEEN)
    for one in names:
        if one not in FEATURES.rows:
            known = ", ".join(FEATURES.rows)
            raise ConfigError(f"features '{name}': '{one}' cannot be joined; there is {known}")
    if len(set(names)) < len(names):
        raise ConfigError(f"features '{name}': names one map twice")
    check_names("table", options, names, f"features '{name}'")
    tables = {one: checked(dict[str, Any], options.get(one, {}), f"features.{one}") for one in names}
    return Joined(parts={one: map_of(one, tables[one]) for one in names})


def aggregator_of(name: str, options: Mapping[str, Any], recorded: Document | None = None) -> Aggregator:
    """The aggregator of this name (see `model_of`).

    Args:
        name: A row of AGGREGATORS, an entry point, or an import path.
        options: As its table has them.
        recorded: A run's [run.outside]: its code is then looked up when it is used.
    """
    if name == GIVEN:
        check_names("option", options, ("is_mean",), "aggregator 'given'")
        return GivenAggregator(is_mean=checked(bool, options.get("is_mean", False), "aggregator 'given': is_mean"))
    if (kind := _own(AGGREGATORS, name, recorded is not None)) is not None:
        return construct(kind, options, f"aggregator '{name}'")
    outside: Outside[Aggregator] = Outside(registry=AGGREGATORS, name=name, options=options)
    if recorded is None:
        return OutsideAggregator(outside=outside.checked())
    return OutsideAggregator(outside=outside, recorded=recorded.get("aggregator", {}).get("is_mean"))


def without_mean(name: str, aggregator: Aggregator) -> str | None:
    """Why a method cannot be used with an aggregator that is not the mean; None where it can."""
    if aggregator.is_mean or not rests_on_mean(needs := entry("method", name, METHODS).needs):
        return None
    return on_mean(name, needs, aggregator)


def demand_goes(name: str, aggregator: Aggregator, where: str = "", kept: frozenset[Need] = EVERYTHING) -> None:
    """Refuse a method that cannot be used with an aggregator that is not the mean.

    Args:
        name: The method's.
        aggregator: The aggregator.
        where: Begins the message.
        kept: What the history holds; methods that need more are not named in the place of this one.

    Raises:
        ConfigError: It rests on the mean; the message says which methods do not.
    """
    if (problem := without_mean(name, aggregator)) is not None:
        needs = {row: METHODS[row].needs for row in METHODS.rows if not rests_on_mean(METHODS[row].needs)}
        held = (row for row, its in needs.items() if {need for need in its if need.of_history} <= kept)
        raise ConfigError(f"{where}{problem}; take one of {', '.join(held)}")


def build_method(name: str, options: Mapping[str, Any]) -> UnlearningMethod:
    """The unlearning method of this name with these options.

    Raises:
        FedletheError: No method or option has that name, or a value is out of range.
    """
    return construct(entry("method", name, METHODS), options, f"method.{name}")


def check_options(name: str, options: Mapping[str, Any], later: bool) -> None:
    """Refuse options that a method does not take; of a method from outside, when it is used."""
    if name in METHODS.rows or not later:
        build_method(name, options)


def needs_of(name: str, recorded: Document) -> frozenset[Need]:
    """What a method needs: as its class says, or as a run has it on record, [run.outside]."""
    known = recorded.get(f"method {name}")
    return entry("method", name, METHODS).needs if known is None else frozenset(Need[need] for need in known["needs"])


def code_of(parts: Mapping[str, object], methods: Iterable[str]) -> Document:
    """The code and the weights files from outside that a training uses, as run.toml keeps them in [run.outside].

    Args:
        parts: 'model', 'data source', 'feature map' and 'aggregator' to what they are.
        methods: The unlearning methods that the history is kept for.

    Raises:
        FedletheError: Some of it is not there.
    """
    found: Document = {
        what: vars(SourceFile.of(part.outside.name, part.outside.kind))
        for what, part in parts.items()
        if isinstance(part, FromOutside)
    }
    for what in parts.keys() & {"model", "feature map", "aggregator"}:
        found |= {f"{what} file {option}": vars(file) for option, file in _files(parts[what])}
    if isinstance(aggregator := parts.get("aggregator"), OutsideAggregator):
        found["aggregator"]["is_mean"] = aggregator.is_mean
    for name in methods:
        if name not in METHODS.rows:
            kind = Outside[UnlearningMethod](registry=METHODS, name=name, options={}).kind
            needs = sorted(need.name for need in kind.needs)
            found[f"method {name}"] = {**vars(SourceFile.of(name, kind)), "needs": needs}
    return found


def code_digest(training: Document, methods: Iterable[str]) -> str:
    """Names the code from outside that something was worked out with; empty where there is none.

    Args:
        training: What a training uses (see `code_of`).
        methods: The unlearning methods beside it.
    """
    code = {**training, **code_of({}, [name for name in methods if name in METHODS])}  # not that of the closed form
    return "".join(f", {what} {known['sha256']}" for what, known in sorted(code.items()))


def demand_code(now: Document, recorded: Document, where: str) -> None:
    """Refuse code from outside that is not what a run was trained with.

    Args:
        now: What there is (see `code_of`).
        recorded: What the run has on record.
        where: Names the run.

    Raises:
        FedletheError: A file has changed.
    """
    for what, known in recorded.items():
        if what not in now:
            raise ConfigError(f"{where}: its {what}, {known.get('path')}, is not there; put it back as it was")
        code = SourceFile(**{key: now[what][key] for key in ("name", "path", "sha256")})
        code.demand(known, f"{where}: its {'method' if what.startswith('method ') else what}")


def _files(part: object) -> Iterator[tuple[str, SourceFile]]:
    """The files that options of a part name, such as weights: what is built depends on their bytes."""
    for option, value in ({} if part is None else options_of(part)).items():
        if isinstance(part, Joined):
            yield from ((f"{option}.{inner}", file) for inner, file in _files(part.parts[option]))
        elif isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file():
            yield option, SourceFile(name=Path(value).name, path=value, sha256=sha256_of(Path(value)))


def is_code(recorded: object) -> bool:
    """Whether it is a table [run.outside] that a training can have written."""
    if not isinstance(recorded, Mapping):
        return False
    facts = [known for known in recorded.values() if isinstance(known, Mapping)]
    texts = all(isinstance(known.get(key), str) for known in facts for key in ("name", "path", "sha256"))
    needs = all(need in Need.__members__ for known in facts for need in known.get("needs", ()))
    mean = isinstance(recorded.get("aggregator", {}).get("is_mean", False), bool)
    return len(facts) == len(recorded) and texts and needs and mean


def _own(registry: Registry[T], name: str, later: bool) -> T | None:
    """The class of a row of fedlethe's own; None for what comes from outside.

    Raises:
        FedletheError: Nothing has this name, and it is not to be looked up later.
    """
    if name in registry.rows:
        return registry[name]
    if not later:
        entry(registry.what, name, registry)
    return None
