# SPDX-License-Identifier: MIT
"""What a configuration says of its learner: what the model takes, which tables and methods it has.

There are two: federated averaging of a network, and the closed-form federation. `learning_of` builds the value, and
whoever reads a configuration asks the value. How each of them trains is in `learners`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeAlias

from fedlethe.closed_form.features import Centred, FeatureMap, ImageShape, Projected
from fedlethe.closed_form.featurised import features_of, featurise
from fedlethe.closed_form.settings import ClosedFormSettings, Subtraction
from fedlethe.config.parts import aggregator_of, build_method, demand_goes, map_of
from fedlethe.data.federated import Examples, FederatedData
from fedlethe.document import Document, checked, construct, entry, name_and_options, plain
from fedlethe.errors import ConfigError
from fedlethe.federation.aggregator import MEAN, Aggregator
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.models import HEAD, MODELS, Model
from fedlethe.models.linear import LinearHead
from fedlethe.outside.deferred import options_of
from fedlethe.types import EVERYTHING, Need
from fedlethe.unlearning import METHODS, UnlearningMethod

LearnerName: TypeAlias = Literal["fedavg", "closed-form"]
"""Federated averaging of networks, or the closed-form federation."""

OF_LEARNER: Mapping[LearnerName, tuple[str, ...]] = {
    "fedavg": ("model", "federation", "local", "aggregator", "history", "method", "recipe"),
    "closed-form": ("closed_form",),
}
"""The tables that one learner alone has."""

Needs: TypeAlias = frozenset[Need]

Method: TypeAlias = UnlearningMethod | Subtraction
"""What takes clients out: a method on networks, or the closed-form federation's own."""

RETRAIN = "retrain"
"""The method that is possible whatever the aggregator."""

CLOSED_FORM = "closed-form"
"""The erasure method of the closed-form federation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A method with options and a repair of its own, under a name that `erase` and `compare` take for a method's.

    Attributes:
        method: Its row in METHODS.
        options: As in `[method.NAME]`.
        repair: Fields of Repair: rounds, epochs, ratio, learning_rate, batch_size.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    repair: dict[str, Any] = field(default_factory=dict)


RECOMMENDED = "recommended"
"""The recipe that `erase` follows where nothing else is asked for."""

RECIPES: dict[str, Recipe] = {
    RECOMMENDED: Recipe(method="influence", options={"scale": 0.75}, repair={"rounds": 1, "ratio": 0.375})
}
"""The recipes that need no configuration; docs/comparison.md tells how this one was found, and what failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Averaging:
    """Federated averaging of a network, which takes the images themselves, or features of a frozen map.

    Attributes:
        features_name: The row of FEATURES; empty where the network takes images.
        features: Its options: the map from images to what the network takes.
        aggregator_name: The row of AGGREGATORS.
        aggregator: Makes a round's model of the clients' models. Where it is not the mean, nothing of a client is kept,
            and clients leave by methods that do not rest on the mean: by retraining where none is named.
        name: The learner's.
        usual_method: The method of studies where none is named.
        recommended: What `erase` follows where nothing else is asked for.
        repairs: Whether clients can train on after an erasure.
        noisy: Whether clients hide their images' statistics by noise.
        fixed: What its tables hold where the configuration says nothing.
    """

    name: ClassVar[LearnerName] = "fedavg"
    repairs: ClassVar[bool] = True
    noisy: ClassVar[bool] = False

    aggregator_name: str = MEAN
    aggregator: Aggregator = WEIGHTED_MEAN
    features_name: str = ""
    features: FeatureMap | None = None

    @property
    def usual_method(self) -> str:
        """See above."""
        return "influence" if self.aggregator.is_mean else RETRAIN

    @property
    def recommended(self) -> str:
        """See above."""
        return RECOMMENDED if self.aggregator.is_mean else RETRAIN

    @property
    def fixed(self) -> Document:
        """See above."""
        history = {} if self.aggregator.is_mean else {"history": {"methods": ()}}
        return history if self.features is None else {**history, "model": {"name": HEAD}}

    @property
    def feature_map(self) -> FeatureMap:
        """The map, with all that the settings of a closed form add to it.

        Raises:
            FedletheError: The network takes images.
        """
        if self.features is None:
            raise _no_closed_form()
        return self.features

    @property
    def settings(self) -> ClosedFormSettings:
        """How statistics are made.

        Raises:
            FedletheError: The learner has none.
        """
        raise _no_closed_form()

    def model(self, name: str, chosen: Model) -> tuple[str, Model]:
        """The model and its name; `chosen` is the configuration's.

        Raises:
            FedletheError: It takes images, and is to have features.
        """
        if self.features is not None and name in MODELS.rows and name != HEAD:
            raise ConfigError(
                f"model '{name}': takes images, and not features; set model.name = '{HEAD}', or name no features"
            )
        return name, chosen

    def inputs(self, images: FederatedData) -> FederatedData:
        """What the model takes of a federation's images."""
        if self.features is None:
            return images
        public = None if images.public is None else self.input_of(images.public, images.image_shape)
        return replace(featurise(images, self.features), public=public)

    def input_of(self, examples: Examples, shape: ImageShape) -> Examples:
        """What the model takes of some images of a shape (C, H, W)."""
        return examples if self.features is None else features_of(examples, self.features, shape)

    def document(self) -> Document:
        """The learner's tables as run.toml has them, beside those of the network's training."""
        found: dict[str, Any] = {}
        if self.features is not None:
            found["features"] = {"name": self.features_name, **options_of(self.features)}
        if self.aggregator_name != MEAN:
            found["aggregator"] = {"name": self.aggregator_name, **options_of(self.aggregator)}
        return found

    def method(
        self, name: str, options: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], kept: Needs = EVERYTHING
    ) -> Method:
        """The unlearning method of this name: its `[method.NAME]` table, with `options` over it.

        Args:
            name: The method's.
            options: Of the method.
            tables: Every `[method.NAME]`.
            kept: What the history holds.

        Raises:
            FedletheError: No method or option has that name, a value is out of range, or the method rests on the mean
                and the aggregator is another.
        """
        method = build_method(name, {**tables.get(name, {}), **options})
        demand_goes(name, self.aggregator, kept=kept)
        return method

    def methods(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Everything that can be asked for by name: the recipes that come with fedlethe, METHODS, its own recipes.

        The recipes that come with fedlethe rest on the mean.
        """
        ours = RECIPES if self.aggregator.is_mean else {}
        return {**ours, **{name: Recipe(method=name) for name in METHODS}, **recipes}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedForm:
    """The closed-form federation, whose linear head takes the features of a frozen map; see `Averaging` for the rest.

    Attributes:
        settings: How it trains.
        features_name: The row of FEATURES.
        features: Its options.
    """

    name: ClassVar[LearnerName] = "closed-form"
    usual_method: ClassVar[str] = CLOSED_FORM
    recommended: ClassVar[str] = CLOSED_FORM
    repairs: ClassVar[bool] = False
    fixed: ClassVar[Document] = {"federation": {"rounds": 1}, "history": {"methods": ()}}
    aggregator_name: ClassVar[None] = None
    aggregator: ClassVar[Aggregator] = WEIGHTED_MEAN

    settings: ClosedFormSettings
    features_name: str
    features: FeatureMap

    @property
    def noisy(self) -> bool:
        """See `Averaging.noisy`."""
        return self.settings.epsilon is not None

    @property
    def feature_map(self) -> FeatureMap:
        """The map, projected where that is asked for, and centred where noise is."""
        size = self.settings.dimension
        chosen = self.features if size is None else Projected(inner=self.features, dimension=size)
        return Centred(inner=chosen) if self.noisy else chosen

    def model(self, name: str, chosen: Model) -> tuple[str, Model]:
        """A linear head: the configuration names no other."""
        return "linear head", LinearHead()

    def inputs(self, images: FederatedData) -> FederatedData:
        """The images' features."""
        return featurise(images, self.feature_map)

    def input_of(self, examples: Examples, shape: ImageShape) -> Examples:
        """The features of some images of a shape (C, H, W)."""
        return features_of(examples, self.feature_map, shape)

    def document(self) -> Document:
        """See `Averaging.document`."""
        features = {"name": self.features_name, **options_of(self.features)}
        return {"learner": self.name, "features": features, "closed_form": plain(self.settings)}

    def method(
        self, name: str, options: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], kept: Needs = EVERYTHING
    ) -> Method:
        """Its own one, of this name; see `Averaging.method`."""
        return construct(entry("method", name, {CLOSED_FORM: Subtraction}), options, f"method.{name}")

    def methods(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Its own one."""
        return {CLOSED_FORM: Recipe(method=CLOSED_FORM)}


def _no_closed_form() -> ConfigError:
    return ConfigError('a network is trained by updates, and clients send no statistics; set learner = "closed-form"')


Learning: TypeAlias = Averaging | ClosedForm
"""The learner of a configuration, with what the configuration says of it."""


def learning_of(document: Document, where: str, recorded: Document | None) -> Learning:
    """The learner that a document asks for.

    Args:
        document: The configuration.
        where: Names it in messages.
        recorded: Of a run that is read, its [run.outside]: code from outside is then looked up when it is used.

    Raises:
        FedletheError: A name or value is wrong, or a table is the other learner's.
    """
    learner: LearnerName = checked(LearnerName, document.get("learner", "fedavg"), "learner")
    for other, tables in OF_LEARNER.items():
        if given := next((table for table in tables if other != learner and table in document), None):
            raise ConfigError(
                f"{where}: [{given}] is of learner '{other}', and this is '{learner}'; leave it out, or set "
                f'learner = "{other}"'
            )
    if learner == Averaging.name:
        name, options = name_and_options({"name": MEAN, **document.get("aggregator", {})}, "name", "aggregator")
        averaging = Averaging(aggregator_name=name, aggregator=aggregator_of(name, options, recorded))
        return averaging if "features" not in document else replace(averaging, **_features(document, recorded))
    settings = construct(ClosedFormSettings, document.get("closed_form", {}), "closed_form")
    return ClosedForm(settings=settings, **_features(document, recorded))


def _features(document: Document, recorded: Document | None) -> dict[str, Any]:
    """The table [features], by the fields of a learner."""
    name, options = name_and_options({"name": "scattering", **document.get("features", {})}, "name", "features")
    return {"features_name": name, "features": map_of(name, options, later=recorded is not None)}
