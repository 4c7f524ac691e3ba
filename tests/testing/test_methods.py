# SPDX-License-Identifier: MIT
"""The kit finds what is wrong with a method, and lets a sound one pass."""

from __future__ import annotations

from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.testing import check_method
from tests.testing import broken_methods as broken


@pytest.mark.parametrize("method", [broken.Sound, broken.Residuals])
def test_a_sound_method_passes(method: Any) -> None:
    check_method(method())


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (broken.NoNeeds, "NoNeeds: has no 'needs'"),
        (broken.SaysItRetrains, "SaysItRetrains: says 'retrains_from'; what is certain of a model is worked out"),
        (broken.Promises, r"Promises: gives a guarantee; .*; return Unlearned\(model=...\) without$"),
        (broken.Exits, r"Exits: fails \(SystemExit: 3, broken_methods.py line \d+\); correct it, or its options"),
        (broken.Raises, r"Raises: fails \(KeyError"),
        (broken.TakesLess, r"TakesLess: fails \(TypeError"),
        (broken.Shorter, "Shorter: its model has shape"),
        (broken.Writes, "Writes: changes the history"),
        (broken.WritesByNumpy, "WritesByNumpy: changes the history: it writes to a vector of it"),
        (broken.Idle, "Idle: gives the trained model back as it is"),
        (broken.Chance, "Chance: gives another model each time"),
        (broken.InTheMean, r"InTheMean: adds \d\.\d\d of what the forgotten client sent; weigh by"),
        (broken.LooksBehind, "opens the images of a client that it did not declare"),
        (broken.Reads, "Reads: reads each client's delta in each round"),
    ],
)
def test_what_is_wrong_is_found(method: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=words) as raised:
        check_method(method())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("writes", [broken.WritesByNumpy, broken.WritesByTorch])
def test_a_history_that_was_written_to_is_made_anew(writes: Any) -> None:
    with pytest.raises(FedletheError, match="history"):
        check_method(writes())
    check_method(broken.Sound())
