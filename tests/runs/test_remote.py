# SPDX-License-Identifier: MIT
"""What is known of clients on other machines without reaching them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedlethe.errors import HistoryError
from fedlethe.runs.remote import OutOfReach, remote_data

FACTS: dict[str, Any] = {"classes": ["no", "yes"], "image_shape": [1, 8, 8], "fingerprints": {"b": "22", "a": "11"}}
NOWHERE: Any = None


def test_they_are_known_by_name_and_hold_no_image() -> None:
    data = remote_data(FACTS)
    assert list(data.clients) == ["a", "b"]
    assert data.image_shape == (1, 8, 8)
    assert all(len(held.split("train")) == len(held.split("test")) == 0 for held in data.clients.values())


def test_the_fingerprint_is_that_of_each_clients_images() -> None:
    swapped = {**FACTS, "fingerprints": {"b": "11", "a": "22"}}
    assert remote_data(FACTS).fingerprint == remote_data({**FACTS}).fingerprint != remote_data(swapped).fingerprint


@pytest.mark.parametrize(
    "ask",
    [
        lambda nodes: nodes.federation(NOWHERE, NOWHERE, seed=0, strict=True),
        lambda nodes: nodes.evaluate(NOWHERE, NOWHERE, NOWHERE, "test"),
        lambda nodes: nodes.statistics(NOWHERE),
        lambda nodes: nodes.correspondence(),
    ],
)
def test_without_a_way_to_them_nothing_is_made_up(ask: Callable[[OutOfReach], object]) -> None:
    nodes = OutOfReach(Path("run"), FACTS)
    assert nodes.facts() == FACTS
    with pytest.raises(HistoryError, match=r"^run: its images lie on Flower nodes"):
        ask(nodes)
