# SPDX-License-Identifier: MIT
"""From a plan to an order: what is looked up, what follows by itself, and what cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.order import order_for, pseudonyms_of
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import ConfigError, FedletheError
from tests.runs.small import CLOSED, NETWORK

CONFIG = resolve(NETWORK)


def test_the_same_order_has_the_same_text_in_whichever_order_it_is_given() -> None:
    one, other = (order_for(CONFIG, names, ErasurePlan(method="influence")) for names in (("a", "b"), ("b", "a")))
    assert one.canonical() == other.canonical()
    held = json.loads(one.canonical())
    assert held["forget"] == ["a", "b"]
    assert set(held) == {"forget", "method", "mask", "repair"}  # nothing that was not asked for
    assert order_for(CONFIG, ("a",), ErasurePlan(method="influence", after="0001")).canonical() != one.canonical()


def test_what_has_no_json_number_is_a_text() -> None:
    text = order_for(CONFIG, ("a",), ErasurePlan(method="influence", options={"clip": float("inf")})).canonical()
    assert json.loads(text)["method"]["clip"] == "inf"


def test_patients_stand_in_it_by_pseudonyms_alone() -> None:
    order = order_for(CONFIG, ("a",), ErasurePlan(method="retrain"), {"a": ("jane", "john")})
    text = order.canonical(lambda client, name: f"{client}-{len(name)}-{name[1]}")
    assert json.loads(text)["patients"] == {"a": ["a-4-a", "a-4-o"]}
    assert "jane" not in text
    assert pseudonyms_of({"a": ("x", "y")}, lambda _, name: {"x": "2", "y": "1"}[name]) == {"a": ("1", "2")}


@pytest.mark.parametrize(
    ("plan", "rounds"),
    [
        ({"method": "influence"}, 1),
        ({"method": "retrain"}, 0),  # the others have trained already
        ({"method": "influence", "mask": {"epsilon": 1.0}}, 0),  # a repair by all would show who is gone
        ({"method": "influence", "mask": {"epsilon": 1.0}, "repair": {"rounds": 2, "clients": 1}}, 2),
        ({"method": "influence", "mask": {"sigma": 0.1}}, 1),
    ],
)
def test_how_many_rounds_repair_where_nobody_says(plan: dict[str, Any], rounds: int) -> None:
    assert order_for(CONFIG, ("a",), ErasurePlan(**plan)).repair.rounds == rounds


def test_the_rest_of_a_client_comes_back_in_one_round() -> None:
    assert order_for(CONFIG, ("a",), ErasurePlan(method="influence"), {"a": ("p",)}).repair.rounds == 1
    with pytest.raises(ConfigError, match="comes back in the repair rounds"):
        order_for(CONFIG, ("a",), ErasurePlan(method="influence", repair={"rounds": 0}), {"a": ("p",)})


def test_who_joins_is_told_by_the_method() -> None:
    assert order_for(resolve(CLOSED), (), ErasurePlan(options={"join": ["b"]})).joined == ("b",)
    assert order_for(CONFIG, ("a",), ErasurePlan(method="influence")).joined == ()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"method": "nonsense"}, "nonsense"),
        ({"mask": {"epsilon": 1.0}, "repair": {"rounds": 1}}, "shows who is missing"),
        ({"decoys": 1, "mask": {"sigma": 0.1}}, "give decoys alone"),
        ({"mask": {"delta": 1e-5}}, "delta: goes with noise, and none is asked for"),
        ({"repair": {"rounds": 0, "epochs": 3.0}}, "repair epochs: nothing is repaired"),
        ({"method": "retrain", "repair": {"learning_rate": 0.1}}, "repair learning_rate: nothing is repaired"),
        ({"method": "retrain", "mask": {"epsilon": 1.0}}, "its candidates cannot be computed"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(FedletheError, match=message):
        order_for(CONFIG, ("a",), ErasurePlan(**{"method": "influence", **plan}))


def test_in_closed_form_there_is_nothing_to_repair() -> None:
    assert order_for(resolve(CLOSED), ("a",), ErasurePlan()).repair.rounds == 0
    with pytest.raises(ConfigError, match="in closed form nobody trains"):
        order_for(resolve(CLOSED), ("a",), ErasurePlan(repair={"rounds": 1}))
