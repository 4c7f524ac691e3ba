# SPDX-License-Identifier: MIT
"""What there is to choose from: the unlearning methods and the audits, with paper, needs and defaults."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any

from fedlethe.audit import AUDITS
from fedlethe.closed_form.settings import Subtraction
from fedlethe.config.learning import CLOSED_FORM, RECIPES
from fedlethe.document import toml_value
from fedlethe.unlearning import METHODS, UnlearningMethod


@dataclass(frozen=True, slots=True)
class Listed:
    """One row.

    Attributes:
        name: As the command line and the configuration have it.
        what: In one sentence.
        paper: Where it comes from.
        needs: Of a method: what the history keeps for it, and who trains again. Of an audit: what it measures.
        defaults: Options and their default values.
    """

    name: str
    what: str
    paper: str
    needs: tuple[str, ...]
    defaults: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Methods or audits."""

    title: str
    rows: tuple[Listed, ...]


def methods() -> Catalogue:
    """The recipes that come with fedlethe, the rows of METHODS, and the closed-form federation's own."""
    recipes = [
        replace(
            _listed(name, METHODS[recipe.method]),
            what=f"{recipe.method}, as `erase` does it where nothing else is asked for.",
            paper="fedlethe (docs/comparison.md)",
            defaults={**recipe.options, **{f"repair {key}": value for key, value in recipe.repair.items()}},
        )
        for name, recipe in RECIPES.items()
    ]
    rows = (_listed(name, kind) for name, kind in METHODS.items())
    exact = replace(_listed(CLOSED_FORM, Subtraction), needs=("each client's statistics (learner 'closed-form')",))
    return Catalogue("Unlearning methods", (*recipes, *rows, exact))


def _listed(name: str, kind: type[UnlearningMethod] | type[Subtraction]) -> Listed:
    needs = tuple(sorted(need.value for need in kind.needs))
    return Listed(name, _sentence(kind), kind.paper, needs, _defaults(kind))


def audits() -> Catalogue:
    """The rows of AUDITS, and the two that are taken of every comparison."""
    rows = (Listed(name, _sentence(kind), kind.paper, (kind.figure,), _defaults(kind)) for name, kind in AUDITS.items())
    reversion = Listed("reversion", "All of them again after each repair round.", "fedlethe", ("by stage",), {})
    spent = ("examples", "client steps", "bytes moved", "bytes kept", "seconds", "who took part")
    cost = Listed("cost", "What the erasure took, metered around the clients.", "fedlethe", spent, {})
    return Catalogue("Audits", (*rows, reversion, cost))


def _sentence(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _defaults(kind: type[Any]) -> dict[str, Any]:
    values = {option.name: _default(option) for option in dataclasses.fields(kind)}
    return {name: "inf" if value == math.inf else value for name, value in values.items()}


def _default(option: dataclasses.Field[Any]) -> Any:
    """An option's default, as TOML has it; a method from outside may have options that have none."""
    if option.default is not dataclasses.MISSING:
        return toml_value(option.default)
    return "required" if option.default_factory is dataclasses.MISSING else toml_value(option.default_factory())
