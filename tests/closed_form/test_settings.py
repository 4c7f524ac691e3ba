# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from fedlethe.closed_form.settings import ClosedFormSettings, Subtraction


@pytest.mark.parametrize(
    "options",
    [
        {"penalty": 0.0},
        {"penalty": float("nan")},
        {"epsilon": -1.0},
        {"epsilon": float("inf")},
        {"radius": 0.0},
        {"class_weights": (1.0, 0.0)},
        {"class_weights": (1.0, float("inf"))},
        {"dimension": 0},
        {"delta": 0.0},
        {"delta": 1.0},
    ],
)
def test_what_no_training_can_use_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        ClosedFormSettings(**options)


def test_the_smallest_numbers_that_make_sense_are_taken() -> None:
    settings = ClosedFormSettings(penalty=1e-12, epsilon=1e-3, delta=1e-30, radius=1e-6, dimension=1)
    assert settings.class_weights is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patients": ("p",), "join": ("a",)}, "requests of their own"), ({"of": ("a",)}, "name the patients")],
)
def test_a_subtraction_is_of_patients_or_of_clients(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Subtraction(**options)
