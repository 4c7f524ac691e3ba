# SPDX-License-Identifier: MIT
"""What is read off a history, by the numbers of three linear clients (see `unlearning/test_influence`).

Shares 1/4, 1/4, 1/2. Round 1 from 0: deltas 2, 4, -2, so w_1 = 0.5. Round 2 from 0.5: 1.75, 3.75, -2.25, w_2 = 0.75.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.train import train
from fedlethe.history.history import (
    InMemoryHistory,
    keeps_delta,
    last_weight,
    residual,
    retained_schedule,
    retained_weights,
)
from fedlethe.types import EVERYTHING, Need
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]
SOME = [(1, ("a", "c")), (2, ("a", "b", "c")), (3, ("b",))]


def test_the_retained_share_a_round_as_if_the_others_had_not_been_there() -> None:
    history = trained_history(linear_federation(), SOME)
    assert retained_weights(history, 1, frozenset("a")) == {"c": 1.0}
    assert retained_weights(history, 2, frozenset("a")) == pytest.approx({"b": 1 / 3, "c": 2 / 3})
    assert retained_weights(history, 3, frozenset("b")) == {}
    assert retained_weights(history, 2, frozenset()) == history.weights(2)


def test_what_presence_changed_in_a_step() -> None:
    history = trained_history(linear_federation(), ALL)
    # Without a: 4/3 - 4/3 = 0 in the place of 0.5. Round 2: 3.75/3 - 4.5/3 = -0.25 in the place of 0.25.
    torch.testing.assert_close(residual(history, 1, frozenset("a")), torch.full((3,), 0.5))
    torch.testing.assert_close(residual(history, 2, frozenset("a")), torch.full((3,), 0.5))
    assert not residual(history, 1, frozenset("z")).any()
    alone = trained_history(linear_federation(), [(1, ("b",))])
    torch.testing.assert_close(residual(alone, 1, frozenset("b")), alone.final() - alone.initial())


def test_the_last_round_of_a_client_and_its_share_there() -> None:
    history = trained_history(linear_federation(), SOME)
    assert last_weight(history, "a") == (2, 0.25)
    assert last_weight(history, "b") == (3, 1.0)
    with pytest.raises(FedletheError, match="d: took part in repair rounds alone"):
        last_weight(history, "d")


def test_the_schedule_of_the_retained_keeps_rounds_that_nobody_is_left_in() -> None:
    history = trained_history(linear_federation(), SOME)
    assert retained_schedule(history, frozenset("b")) == [(1, ("a", "c")), (2, ("a", "c")), (3, ())]
    assert retained_schedule(history, frozenset("a"), after=1) == [(2, ("b", "c")), (3, ("b",))]


def test_the_first_deltas_are_of_the_first_round() -> None:
    assert [keeps_delta(frozenset({Need.FIRST_DELTAS}), round) for round in (1, 2)] == [True, False]
    assert keeps_delta(frozenset({Need.DELTAS}), 2)
    assert not keeps_delta(EVERYTHING - {Need.DELTAS, Need.FIRST_DELTAS}, 1)


READ: dict[Need, Callable[[Any], object]] = {
    Need.INITIAL: lambda history: history.initial(),
    Need.INFLUENCE: lambda history: history.influence("a"),
    Need.GLOBALS: lambda history: history.global_model(1),
    Need.DELTAS: lambda history: history.delta(2, "a"),
    Need.FIRST_DELTAS: lambda history: history.delta(1, "a"),
    Need.NORMS: lambda history: history.norms(1, "a"),
}


@pytest.mark.parametrize("need", READ, ids=lambda need: need.name)
def test_what_was_not_kept_is_refused_and_what_was_is_there(need: Need) -> None:
    history = trained_history(linear_federation(), ALL)
    kept = InMemoryHistory(history.initial(), history.layout, "abc", frozenset({need}))
    bare = InMemoryHistory(history.initial(), history.layout, "abc", frozenset())
    for record in train(linear_federation(), history.initial(), ALL):
        kept.append(record)
        bare.append(record)
    READ[need](kept)
    with pytest.raises(FedletheError, match=r"did not keep .*keep everything"):
        READ[need](bare)
    assert torch.equal(bare.final(), history.final())
    assert (bare.rounds, bare.clean_rounds, bare.contributors()) == (2, 2, frozenset("abc"))
