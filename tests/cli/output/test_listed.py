# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fedlethe import catalogue
from fedlethe.unlearning import METHODS


def test_the_lists_hold_every_method_with_what_it_needs(
    printed: Callable[[Any], str], as_json: Callable[[Any], Any]
) -> None:
    listed = catalogue.methods()
    text = printed(listed)
    assert all(f"│ {name} │" in text for name in METHODS)
    assert {row["name"] for row in as_json(listed)["rows"]} >= set(METHODS)
