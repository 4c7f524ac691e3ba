# SPDX-License-Identifier: MIT
"""A plan in plain values: read back as it was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedlethe.config.learning import Recipe
from fedlethe.erasing.plan import OF_ACT, ErasurePlan
from fedlethe.errors import ConfigError, FedletheError

FULL = ErasurePlan(
    method="influence", options={"scale": 1.0}, mask={"sigma": 0.1}, repair={"rounds": 2}, after="0001", references=5
)


def test_what_is_written_is_read_back() -> None:
    for plan in (FULL, ErasurePlan(), ErasurePlan(decoys=2)):
        assert ErasurePlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_numbers_of_numpy_and_paths_are_taken_where_plain_ones_are() -> None:
    given = {"keep_for": np.int64(2), "options": {"scale": np.float32(0.5)}, "after": Path("0001")}
    plain = ErasurePlan(keep_for=2, options={"scale": 0.5}, after="0001")
    assert json.dumps(ErasurePlan(**given).to_dict()) == json.dumps(plain.to_dict())
    assert ErasurePlan.from_dict(given) == plain


def test_decoys_are_written_only_where_there_are_some() -> None:
    assert "decoys" not in FULL.to_dict()
    assert ErasurePlan(decoys=1).to_dict()["decoys"] == 1
    assert set(OF_ACT) <= set(FULL.to_dict())


def test_a_plan_of_a_recipe_has_its_method_options_and_repair() -> None:
    recipe = Recipe(method="influence", options={"clip": 0.5}, repair={"rounds": 1})
    found = ErasurePlan.of_recipe(recipe)
    assert (found.method, found.options, found.repair) == ("influence", {"clip": 0.5}, {"rounds": 1})
    assert not found.is_default
    assert ErasurePlan().is_default


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": None}, "plan 'options': a table is wanted, not None"),
        ({"mask": None}, "plan 'mask': a table is wanted, not None"),
        ({"repair": 3}, "plan 'repair': a table is wanted, not 3"),
        ({"decoys": "2"}, "plan 'decoys': a whole number is wanted, not '2'"),
        ({"method": None}, "plan 'method': a text is wanted, not None"),
    ],
)
def test_a_field_of_another_type_is_refused_where_the_plan_is_made(fields: dict[str, Any], words: str) -> None:
    makes: tuple[Callable[[], Any], ...] = (
        lambda: ErasurePlan(**fields),
        lambda: replace(FULL, **fields),
        lambda: ErasurePlan.from_dict(fields),
    )
    for make in makes:
        with pytest.raises(ConfigError) as raised:
            make()
        assert str(raised.value) == words


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(FedletheError, match="metod"):
        ErasurePlan.from_dict({"metod": "influence"})
