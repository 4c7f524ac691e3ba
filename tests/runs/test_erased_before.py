# SPDX-License-Identifier: MIT
"""Who was erased before, until taken back."""

from __future__ import annotations

from typing import Any

import pytest

from fedlethe.errors import HistoryError
from fedlethe.runs.erased_before import ErasedBefore, demand_erased


def test_who_is_taken_back_is_so_with_all_patients_and_nobody_else() -> None:
    folder: Any = None
    found = ErasedBefore(clients={"a": "x", "b": "y"}, patients={"a": [(folder, frozenset({"p"}), "z")]})
    found.taken_back(["a", "nobody"])
    assert found.clients == {"b": "y"}
    assert found.patients == {}


def test_nobody_is_taken_back_who_was_not_erased() -> None:
    demand_erased(["a"], ["b", "a"])
    with pytest.raises(HistoryError, match=r"take_back c: .*those erased are a, b"):
        demand_erased(["a", "c"], ["b", "a"])
    with pytest.raises(HistoryError, match="nobody was"):
        demand_erased(["c"], [])


def test_before_the_first_erasure_there_is_nobody() -> None:
    assert ErasedBefore.before(()) == ErasedBefore()
