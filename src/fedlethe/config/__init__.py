# SPDX-License-Identifier: MIT
"""TOML and flags -> built objects. This is the only reader of names: everything past it holds the objects themselves.

A table of the configuration is a constructor call: `[method.influence] scale = 0.5` is `Influence(scale=0.5)`.
Layers lie one over the other: the defaults, a preset, a TOML file, the flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fedlethe.config.learning import (
    OF_LEARNER,
    RECIPES,
    RECOMMENDED,
    Averaging,
    LearnerName,
    Learning,
    Method,
    Recipe,
    learning_of,
)
from fedlethe.config.parts import check_options, code_of, demand_code, demand_goes, model_of, needs_of, source_of
from fedlethe.data.backdoor import Backdoor
from fedlethe.data.federated import Source
from fedlethe.data.partition import Partition
from fedlethe.document import (
    Document,
    check_names,
    checked,
    construct,
    demand_each_once,
    entry,
    layered,
    name_and_options,
    plain,
)
from fedlethe.entered import demand_texts
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.client import LocalTraining
from fedlethe.federation.execution import Execution
from fedlethe.federation.repair import Repair
from fedlethe.models import Model
from fedlethe.outside.deferred import options_of
from fedlethe.types import EVERYTHING, Need
from fedlethe.unlearning import METHODS

TABLES = (
    *("data", "partition", "model", "federation", "local", "aggregator", "execution", "history"),
    *("backdoor", "method", "recipe", "features", "closed_form"),
)
"""The tables that a configuration may have."""

DEFAULTS: Document = {"seed": 0, "data": {"source": "phantom"}, "model": {"name": "small-cnn"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class FederationSettings:
    """The rounds.

    Attributes:
        rounds: How many.
        participation: The fraction of the clients that takes part in each, in (0, 1].
    """

    rounds: int = 15
    participation: float = 1.0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {self.rounds}")
        if not 0 < self.participation <= 1:
            raise ValueError(f"participation must be in (0, 1], not {self.participation}")


@dataclass(frozen=True, kw_only=True, slots=True)
class HistorySettings:
    """What is kept of the training.

    Attributes:
        keep: 'needed' keeps what the methods need; 'everything' keeps all checkpoints of all clients and rounds.
        methods: The unlearning methods that must be possible later. Retraining always is, and is all that is kept for
            where nothing is said and the aggregator is not the mean.
    """

    keep: Literal["needed", "everything"] = "needed"
    methods: tuple[str, ...] = ("influence",)

    def needs(self, recorded: Document | None = None) -> frozenset[Need]:
        """What the history has to hold. The initial model is always in it: it is the start of every reference.

        Args:
            recorded: A run's [run.outside]: what methods from outside need stands in it.
        """
        if self.keep == "everything":
            return EVERYTHING
        needs = {need for name in self.methods for need in needs_of(name, recorded or {}) if need.of_history}
        return frozenset(needs | {Need.INITIAL})


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run, resolved: every name looked up, every value checked.

    `encrypt` seals what is kept of each client with a key of its own, so that destroying the key erases it;
    `recorded` is a run's [run.outside], of code that does not come with fedlethe.
    """

    seed: int
    source_name: str
    source: Source
    partition: Partition
    model_name: str
    model: Model
    federation: FederationSettings
    local: LocalTraining
    execution: Execution
    history: HistorySettings
    backdoor: Backdoor | None = None
    method_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    learning: Learning = field(default_factory=Averaging)
    encrypt: bool = True
    recorded: Document = field(default_factory=dict)

    @property
    def keep(self) -> frozenset[Need]:
        """What the history holds: of the clients nothing that tells something under the mean alone, and it is not."""
        needs = self.history.needs(self.recorded)
        return needs if self.learning.aggregator.is_mean else frozenset(need for need in needs if not need.of_mean)

    def outside(self) -> Document:
        """What the training uses of code that does not come with fedlethe: each its file and the file's SHA-256.

        Raises:
            FedletheError: Some of it is not there.
        """
        parts = {
            "model": self.model,
            "data source": self.source,
            "feature map": self.learning.features,
            "aggregator": self.learning.aggregator,
        }
        return code_of(parts, self.history.methods)

    def demand_code(self, where: str) -> None:
        """Refuse code from outside that is not what the run was trained with; `where` names the run.

        Raises:
            FedletheError: Some of it is not there, or has changed.
        """
        if self.recorded:
            try:
                now = self.outside()
            except FedletheError as error:
                raise ConfigError(f"{where}: {error}") from None
            demand_code(now, self.recorded, where)

    @property
    def division_seed(self) -> int:
        """Draws who holds what: the partition's own seed, or the run's."""
        return self.seed if self.partition.seed is None else self.partition.seed

    @property
    def learner(self) -> LearnerName:
        """Which learner trains."""
        return self.learning.name

    @property
    def usual_method(self) -> str:
        """The method of studies where none is named."""
        return self.learning.usual_method

    def document(self) -> Document:
        """The configuration in full, as run.toml holds it."""
        common = {
            "seed": self.seed,
            "encrypt": self.encrypt,
            "data": {"source": self.source_name, **options_of(self.source)},
            "partition": plain(self.partition.in_full()),
            "execution": plain(self.execution),
            **({} if self.backdoor is None else {"backdoor": plain(self.backdoor)}),
        }
        of_networks = {
            "model": {"name": self.model_name, **options_of(self.model)},
            "federation": plain(self.federation),
            "local": plain(self.local.in_full()),
            "history": plain(self.history),
            **({"method": {**self.method_tables}} if self.method_tables else {}),
            **({"recipe": {name: plain(recipe) for name, recipe in self.recipes.items()}} if self.recipes else {}),
        }
        own = {name: table for name, table in of_networks.items() if name in OF_LEARNER[self.learner]}
        return {**common, **own, **self.learning.document()}

    def method(self, name: str, options: Mapping[str, Any]) -> Method:
        """The unlearning method of this name: its `[method.NAME]` table, with `options` over it.

        Raises:
            FedletheError: No method or option has that name, or a value is out of range.
        """
        return self.learning.method(name, options, self.method_tables, self.keep)

    def recipe(self, name: str) -> Recipe:
        """The recipe of this name, or a method's own: no options of its own, and the repair that follows it.

        A `[method.NAME]` table lies over the recipes that come with fedlethe, and under the configuration's own.

        Raises:
            FedletheError: No method or recipe has that name.
        """
        name = self.learning.recommended if name == RECOMMENDED else name
        recipe = Recipe(method=name) if ":" in name else entry("method", name, self.methods())
        table = self.method_tables.get(recipe.method, {}) if name in RECIPES else {}
        return replace(recipe, options={**recipe.options, **table})

    def methods(self) -> dict[str, Recipe]:
        """Everything that can be asked for by name: recipes, methods, and the configuration's own recipes."""
        return self.learning.methods(self.recipes)


def resolve(document: Document, where: str = "configuration", recorded: Document | None = None) -> RunConfig:
    """Build a run's objects.

    Args:
        document: The layered document.
        where: Names the document in messages.
        recorded: Of a run that is read, its [run.outside]: code from outside is then looked up when it is used.

    Raises:
        FedletheError: A key, name or value is wrong; the message names it and says what is allowed.
    """
    _refuse_old_words(document, where)
    demand_texts(document, where)
    if "run" in document:
        raise ConfigError(f"{where}: [run] is what a run was found to be, and nothing to train by; take the table out")
    check_names("key", document, ("seed", "learner", "encrypt", *TABLES), where)
    for key in TABLES:
        if not isinstance(document.get(key, {}), Mapping):
            raise ConfigError(f"{where}: '{key}' must be a table, [{key}]")
    later = recorded is not None
    learning = learning_of(document, where, recorded)
    document = layered(DEFAULTS, learning.fixed, document)
    source_name, data = name_and_options(document["data"], "source", "data")
    model_name, options = name_and_options(document["model"], "name", "model")
    model_name, model = learning.model(model_name, model_of(model_name, options, later))
    methods, recipes = _methods(document, later)
    history = construct(HistorySettings, document.get("history", {}), "history")
    history.needs(recorded)
    if not later:  # what a run has on record was looked at when its training began
        demand_each_once("method", history.methods)
        tables = {"history": history.methods, "method": methods, "recipe": [one.method for one in recipes.values()]}
        for table, names in tables.items():
            for name in names:
                demand_goes(name, learning.aggregator, f"{where}: [{table}]: ")
    return RunConfig(
        seed=checked(int, document["seed"], "seed"),
        source_name=source_name,
        source=source_of(source_name, data, later),
        partition=construct(Partition, document.get("partition", {}), "partition"),
        model_name=model_name,
        model=model,
        federation=construct(FederationSettings, document.get("federation", {}), "federation"),
        local=construct(LocalTraining, document.get("local", {}), "local"),
        execution=construct(Execution, document.get("execution", {}), "execution"),
        history=history,
        backdoor=construct(Backdoor, document["backdoor"], "backdoor") if "backdoor" in document else None,
        method_tables=methods,
        recipes=recipes,
        learning=learning,
        encrypt=checked(bool, document.get("encrypt", True), "encrypt"),
        recorded=recorded or {},
    )


def _methods(document: Document, later: bool) -> tuple[Mapping[str, Mapping[str, Any]], dict[str, Recipe]]:
    """The options of methods, and the recipes, every name and value checked."""
    methods = document.get("method", {})
    for name, table in methods.items():
        check_options(name, table, later)
    recipes = {name: construct(Recipe, table, f"recipe '{name}'") for name, table in document.get("recipe", {}).items()}
    for name, recipe in recipes.items():
        if name in METHODS or name in RECIPES:
            raise ConfigError(f"recipe '{name}': this name is taken; choose another")
        check_options(recipe.method, recipe.options, later)
        construct(Repair, recipe.repair, f"recipe '{name}': repair")
    return methods, recipes


def _refuse_old_words(document: Document, where: str) -> None:
    """The closed form was called 'exact' once, whether its models were or not."""
    if "exact" in document or document.get("learner") == "exact":
        raise ConfigError(
            f"{where}: the learner 'exact' is called 'closed-form' now, and its table [closed_form]: write learner = "
            '"closed-form" and [closed_form]; a run that was trained under the old name has to be trained again'
        )
