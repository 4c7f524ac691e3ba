# SPDX-License-Identifier: MIT
"""Each reader of a history needs its Need, and what was written to is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.history.declared import DeclaredHistory
from fedlethe.history.history import InMemoryHistory
from fedlethe.types import EVERYTHING, Need
from tests.fakes import linear_federation, trained_history

READERS: dict[Need, Callable[[Any], Any]] = {
    Need.INITIAL: lambda history: history.initial(),
    Need.INFLUENCE: lambda history: history.influence("a"),
    Need.GLOBALS: lambda history: history.global_model(1),
    Need.DELTAS: lambda history: history.delta(2, "a"),
    Need.FIRST_DELTAS: lambda history: history.delta(1, "a"),
    Need.NORMS: lambda history: history.norms(1, "a"),
}


@pytest.fixture
def history() -> InMemoryHistory:
    return trained_history(linear_federation(), [(1, ("a", "b")), (2, ("a", "c"))])


def test_every_need_of_the_history_has_a_reader() -> None:
    assert set(READERS) == EVERYTHING


@pytest.mark.parametrize("need", READERS)
def test_a_reader_needs_its_need(history: InMemoryHistory, need: Need) -> None:
    allowed = DeclaredHistory(history, frozenset({need}), "mine")
    read, known = READERS[need](allowed), READERS[need](history)
    assert read == known if isinstance(known, dict) else torch.equal(read, known)
    enough = {need, Need.DELTAS} if need is Need.FIRST_DELTAS else {need}
    refused = DeclaredHistory(history, EVERYTHING - enough, "mine")
    with pytest.raises(FedletheError, match=r"^mine: reads .*, which it did not declare; add Need\.\w+ to its `needs`"):
        READERS[need](refused)


def test_who_took_part_and_the_final_model_need_nothing(history: InMemoryHistory) -> None:
    bare = DeclaredHistory(history, frozenset(), "mine")
    assert torch.equal(bare.final(), history.final())
    assert (bare.layout, bare.clients, bare.rounds) == (history.layout, ("a", "b", "c"), 2)
    assert bare.clean_rounds == 2
    assert bare.contributors() == {"a", "b", "c"}
    assert bare.participants(2) == ("a", "c")
    assert bare.weights(1) == {"a": 0.5, "b": 0.5}


def test_a_vector_that_is_written_to_is_named(history: InMemoryHistory) -> None:
    lent = DeclaredHistory(history, EVERYTHING, "mine")
    for read in READERS.values():
        read(lent)
    assert lent.written_to() is None
    lent.delta(2, "a")[1:].add_(1.0)
    assert lent.written_to() == "delta(2, 'a')"


def test_what_is_no_vector_is_a_copy(history: InMemoryHistory) -> None:
    lent: Any = DeclaredHistory(history, EVERYTHING, "mine")
    lent.weights(1).clear()
    lent.norms(1, "a").clear()
    assert history.weights(1)
    assert history.norms(1, "a")
