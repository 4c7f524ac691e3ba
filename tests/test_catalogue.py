# SPDX-License-Identifier: MIT
"""What there is to choose from is what the registries hold."""

from __future__ import annotations

from fedlethe.audit import AUDITS
from fedlethe.catalogue import audits, methods
from fedlethe.config.learning import CLOSED_FORM, RECIPES
from fedlethe.unlearning import METHODS
from fedlethe.unlearning.influence import Influence


def test_every_method_recipe_and_audit_is_listed_once() -> None:
    assert [row.name for row in methods().rows] == [*RECIPES, *METHODS, CLOSED_FORM]
    assert {row.name for row in audits().rows} == {*AUDITS, "reversion", "cost"}


def test_a_row_says_what_its_class_says() -> None:
    row = next(row for row in methods().rows if row.name == "influence")
    assert (row.paper, row.what) == (Influence.paper, (Influence.__doc__ or "").strip().splitlines()[0])
    assert row.needs == tuple(sorted(need.value for need in Influence.needs))
    assert row.defaults["scale"] == Influence().scale
    assert row.defaults["clip"] == "inf"  # which JSON has no number for
