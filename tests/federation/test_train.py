# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.federation.train import sample_clients, train
from fedlethe.types import Update, Vector
from tests.fakes import LinearFederation, linear_federation


def test_one_round_is_the_mean_weighted_by_examples() -> None:
    (record,) = train(linear_federation(), torch.zeros(3), [(1, ("a", "b", "c"))])
    assert record.weights == {"a": 0.25, "b": 0.25, "c": 0.5}
    assert torch.equal(record.after, torch.full((3,), 0.25 * 2 + 0.25 * 4 - 0.5 * 2))  # the plain mean would be 4/3


def test_the_order_in_which_clients_are_asked_does_not_matter() -> None:
    torch.manual_seed(0)
    targets = {name: torch.randn(1000) for name in "abcde"}
    federation = LinearFederation(targets, dict(zip("abcde", (3, 5, 7, 11, 13), strict=True)))
    one, other = (
        [record.after for record in train(federation, torch.zeros(1000), [(1, order), (2, order)])]
        for order in ("abcde", "edcba")
    )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class _Faulty(LinearFederation):
    """Client a answers wrongly."""

    def __init__(self, wrong: Vector) -> None:
        super().__init__(linear_federation().targets, linear_federation().num_examples, public=wrong)

    def train(self, *arguments: Any, **options: Any) -> Iterator[Update]:
        for update in super().train(*arguments, **options):
            yield Update("a", self.public, 1, 1, 1, 0.0) if update.client == "a" else update


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (torch.tensor([1.0, torch.nan, 1.0]), "NaN"),
        (torch.tensor([1.0, torch.inf, 1.0]), "infinite"),
        (torch.zeros(4), "shape"),
        (torch.zeros(3, dtype=torch.float64), "float64"),
    ],
)
def test_a_wrong_update_is_refused_and_the_round_goes_on(wrong: Vector, reason: str) -> None:
    first, second = train(_Faulty(wrong), torch.zeros(3), [(1, ("a", "b", "c")), (2, ("b",))])
    assert list(first.refused) == ["a"]
    assert reason in first.refused["a"]
    assert first.weights == {"b": 1 / 3, "c": 2 / 3}
    torch.testing.assert_close(first.after, torch.full((3,), 4 / 3 - 4 / 3))
    assert torch.isfinite(second.after).all()


def test_a_round_in_which_nothing_is_accepted_leaves_the_model() -> None:
    model = torch.tensor([1.0, 2.0, 3.0])
    (record,) = train(_Faulty(torch.full((3,), torch.nan)), model, [(1, ("a",))])
    assert torch.equal(record.after, model)
    assert record.weights == {}


@given(count=st.integers(1, 12), participation=st.floats(0.01, 1.0), seed=st.integers(0, 99), round=st.integers(1, 50))
def test_participants_are_some_clients_whatever_their_order(
    count: int, participation: float, seed: int, round: int
) -> None:
    clients = [f"client-{index:02d}" for index in range(count)]
    chosen = sample_clients(clients, participation, seed, round)
    assert chosen == sample_clients(clients[::-1], participation, seed, round)
    assert len(set(chosen)) == len(chosen) == max(1, int(participation * count + 0.5))
    assert set(chosen) <= set(clients)
