# SPDX-License-Identifier: MIT
"""Requests one after the other: erase c, train on, erase b, and let c come back with other data.

Numbers by hand on linear_federation: clients go half of the way to their targets, a 4, b 8 and c -4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch

from fedlethe.federation.train import train
from fedlethe.history.history import InMemoryHistory
from fedlethe.history.succession import Part, Succession
from fedlethe.types import EVERYTHING, ClientId, Vector
from fedlethe.unlearning import METHODS
from fedlethe.unlearning.influence import Influence
from fedlethe.unlearning.method import UnlearningMethod, unlearn
from fedlethe.unlearning.retrain import Retrain
from fedlethe.unlearning.rollback import Rollback
from fedlethe.unlearning.sifu import Sifu
from fedlethe.vector import Layout
from tests.fakes import LinearFederation, linear_federation, trained_history

ALL = ("a", "b", "c")
TWO_ROUNDS = [(1, ALL), (2, ALL)]
MILD: dict[str, dict[str, Any]] = {"puf": {"eta": 1.0}, "fed_osd": {"rounds": 1}}
"""Each request is a step away from the data, whose length is an option: at the defaults two overshoot by twice."""

SIX = Layout({"stem.weight": (2, 1), "weight": (4, 1)})


def part(history: InMemoryHistory, erased: Iterable[ClientId] = (), **repair: Vector) -> Part:
    return Part(history=history, keep=history.keep, erased=frozenset(erased), repair=repair)


def erased(method: UnlearningMethod, forget: str, history: InMemoryHistory | Succession, kept: str) -> Vector:
    federation = linear_federation()
    return unlearn(method, forget, history, federation.without(set(federation.clients) - set(kept))).model


def test_the_erased_are_in_nothing_of_what_came_before() -> None:
    first = trained_history(linear_federation(), [(1, ALL), (2, ("b", "c")), (3, ("c",))])
    succession = Succession([part(first, "c", b=torch.ones(3))], torch.full((3,), 9.0))
    assert succession.clients == ("a", "b")
    assert (succession.rounds, succession.clean_rounds) == (3, 0)
    assert [dict(succession.weights(round)) for round in (1, 2, 3)] == [{"a": 0.5, "b": 0.5}, {"b": 1.0}, {}]
    assert [succession.participants(round) for round in (1, 2, 3)] == [("a", "b"), ("b",), ()]
    assert torch.equal(succession.influence("c"), torch.zeros(3))
    assert torch.equal(succession.influence("b"), first.influence("b") + 1)  # what it did in the repair rounds, too
    assert torch.equal(succession.final(), torch.full((3,), 9.0))
    assert torch.equal(succession.global_model(3), torch.full((3,), 9.0))
    assert torch.equal(succession.global_model(1), first.global_model(1))
    assert torch.equal(succession.delta(2, "b"), first.delta(2, "b"))
    assert succession.norms(1, "a") == first.norms(1, "a")


def test_who_comes_back_counts_from_then_on() -> None:
    first = trained_history(linear_federation(), TWO_ROUNDS)
    begun = torch.full((3,), 2.0)
    second = trained_history(linear_federation(), [(1, ("a", "c"))], initial=begun)
    succession = Succession([part(first, "c"), part(second)], second.final())
    assert succession.clients == ALL
    assert (succession.rounds, succession.clean_rounds) == (3, 0)
    assert dict(succession.weights(3)) == {"a": 1 / 3, "c": 2 / 3}
    assert torch.equal(succession.influence("c"), second.influence("c"))
    assert torch.equal(succession.global_model(2), begun)  # what round 3 began with, not what round 2 ended with
    assert torch.equal(succession.global_model(1), first.global_model(1))
    assert torch.equal(succession.delta(3, "c"), second.delta(1, "c"))
    # Erased again, it is in neither.
    assert Succession([part(first, "c"), part(second, "c")], begun).clients == ("a", "b")


def test_rounds_before_the_erased_joined_are_clean() -> None:
    first = trained_history(linear_federation(), [(1, ("a", "b")), (2, ALL)])
    assert Succession([part(first, "c")], first.final()).clean_rounds == 1
    assert Succession([part(first)], first.final()).clean_rounds == 2


def test_a_round_that_ends_with_what_an_erasure_made_is_not_clean() -> None:
    """'c' repaired in it, and took part in no round: going back to that would keep what it did."""
    federation = linear_federation()
    first = trained_history(federation, [(1, ("a", "b")), (2, ("a", "b"))])
    made = replace(part(first, c=torch.ones(3)), trained=frozenset("abc"), erasure="0001")
    succession = Succession([made], first.final() + 1)
    assert succession.clean_rounds == 1
    assert torch.equal(erased(Rollback(), "c", succession, "ab"), first.final())
    second = trained_history(federation, [(1, ("a", "b"))], initial=first.final() + 1)
    later = Succession([made, part(second)], second.final())
    assert later.clean_rounds == 1
    anew = trained_history(federation, [(round, ("a", "b")) for round in (1, 2, 3)])
    assert torch.equal(erased(Rollback(), "c", later, "ab"), anew.final())
    assert torch.equal(erased(Sifu(sigma=1e-9), "c", later, "ab"), anew.final())


def test_influence_after_influence_is_both_at_once() -> None:
    history = trained_history(linear_federation(), TWO_ROUNDS)
    without_c = erased(Influence(), "c", history, "ab")
    one_by_one = erased(Influence(), "b", Succession([part(history, "c")], without_c), "a")
    torch.testing.assert_close(one_by_one, erased(Influence(), "bc", history, "a"))
    # 0.75 less c's -2.125 and b's 1 + 0.9375: what a did, 0.5 + 0.4375.
    torch.testing.assert_close(one_by_one, torch.full((3,), 0.9375))


@pytest.mark.parametrize("method", [Retrain(), Rollback()])
@pytest.mark.parametrize("first_method", ["influence", "retrain"])
def test_an_exact_method_ends_where_it_would_have_at_once(method: UnlearningMethod, first_method: str) -> None:
    history = trained_history(linear_federation(), [(1, ("a", "c")), (2, ALL), (3, ALL)])
    without_c = erased(METHODS[first_method](), "c", history, "ab")
    one_by_one = erased(method, "b", Succession([part(history, "c")], without_c), "a")
    assert torch.equal(one_by_one, erased(method, "bc", history, "a"))


def test_rollback_goes_behind_the_rounds_of_those_erased_before() -> None:
    history = trained_history(linear_federation(), [(1, ("a",)), (2, ("a", "c")), (3, ALL)])
    without_c = erased(Influence(), "c", history, "ab")
    unlearned = unlearn(
        Rollback(), "b", Succession([part(history, "c")], without_c), linear_federation().without(["b", "c"])
    )
    assert unlearned.guarantee is not None
    assert "after round 1" in unlearned.guarantee.statement
    torch.testing.assert_close(unlearned.model, torch.full((3,), 3.5))  # a alone: 2, 3, 3.5


def test_who_came_back_with_other_data_is_retrained_with_those() -> None:
    old = linear_federation()
    history = trained_history(old, TWO_ROUNDS)
    without_c = erased(Retrain(), "c", history, "ab")
    new = replace(old, targets={**old.targets, "c": torch.full((3,), 16.0)})
    second = InMemoryHistory(without_c, old.layout, ALL, EVERYTHING)
    for record in train(new, without_c, [(1, ALL)]):
        second.append(record)
    succession = Succession([part(history, "c"), part(second)], second.final())
    model = unlearn(Retrain(), "b", succession, new.without("b")).model
    # a alone in two rounds: 2 and 3; then a (1) to 3.5 and c (2) to 9.5.
    torch.testing.assert_close(model, torch.full((3,), (3.5 + 2 * 9.5) / 3))
    again = unlearn(Retrain(), "c", succession, new.without("c")).model
    torch.testing.assert_close(again, erased(Retrain(), "c", trained_history(old, [*TWO_ROUNDS, (3, ALL)]), "ab"))


@pytest.mark.parametrize("name", METHODS)
def test_one_by_one_ends_as_near_a_retraining_as_at_once(name: str) -> None:
    """On distinct dimensions, so that directions mean something; the yardstick is how far the trained model is."""
    targets = {client: torch.eye(6)[2 * index] * 4 + index for index, client in enumerate(ALL)}
    federation = LinearFederation(targets, {"a": 4, "b": 1, "c": 1}, SIX, public=targets["a"])
    history = trained_history(federation, [(round, ALL) for round in range(1, 5)], initial=torch.zeros(6))
    method = METHODS[name](**MILD.get(name, {}))

    def step(forget: str, of: InMemoryHistory | Succession) -> Vector:
        return unlearn(method, forget, of, federation).model

    retrained = unlearn(Retrain(), "bc", history, federation).model
    at_once = step("bc", history)
    one_by_one = unlearn(method, "b", Succession([part(history, "c")], step("c", history)), federation.without("c"))
    untouched = float((history.final() - retrained).norm())
    assert float((one_by_one.model - retrained).norm()) <= float((at_once - retrained).norm()) + 0.5 * untouched
