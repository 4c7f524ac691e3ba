# SPDX-License-Identifier: MIT
"""How an erasure is to be made, in plain values: what a user asks for, and what the ledger keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from fedlethe.config.learning import RECOMMENDED, Recipe
from fedlethe.document import checked, construct

OF_ACT = ("references", "keep_for", "result")
"""What belongs to an erasure request, and to no erasure without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasurePlan:
    """How clients are to be taken out. Whom is said beside it.

    Nothing is looked up when a plan is made: `order_for` does that, against a run's configuration.

    Attributes:
        method: A method or recipe by its name; 'recommended' is the way that fits the run's learner.
        options: Of the method, over the recipe's.
        mask: Fields of `privacy.hiding.Masking`, such as {"sigma": 0.01} or {"epsilon": 1.0}.
        repair: Fields of `federation.repair.Repair`, over the recipe's, such as {"rounds": 2}.
        after: The erasure to begin from, '0001'; None for the run's own model.
        decoys: How many others are erased along with them, to hide who asked.
        references: Retrainings to audit against; 0 for no audit. Of a request.
        keep_for: Days for which the traces are kept before they are purged. Of a request.
        result: An erasure that was made before, whose model is the result; None for a new one. Of a request.

    Raises:
        ConfigError: A field is of another type.

    Example:
        >>> plan = ErasurePlan(method="influence", options={"scale": 1.0}, repair={"rounds": 0})
        >>> ErasurePlan.from_dict(plan.to_dict()) == plan
        True
    """

    method: str = RECOMMENDED
    options: Mapping[str, Any] = field(default_factory=dict)
    mask: Mapping[str, Any] = field(default_factory=dict)
    repair: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    decoys: int = 0
    references: int = 0
    keep_for: int = 0
    result: str | None = None

    def __post_init__(self) -> None:
        # A program can put anything into it: what is there afterwards are plain values, numpy's numbers as Python's.
        for name, kind in get_type_hints(ErasurePlan).items():
            object.__setattr__(self, name, checked(kind, getattr(self, name), f"plan '{name}'"))

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> ErasurePlan:
        """The plan of a recipe as it stands."""
        return cls(method=recipe.method, options=recipe.options, repair=recipe.repair)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> ErasurePlan:
        """The plan that `to_dict` wrote.

        Raises:
            FedletheError: A field is unknown, or of another type.
        """
        return construct(cls, facts, "plan")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the ledger keeps them; decoys, which no request can have, only where there are some."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if name != "decoys" or value}

    @property
    def is_default(self) -> bool:
        """Whether it asks for nothing: the recommended way, without options."""
        return self == ErasurePlan()
