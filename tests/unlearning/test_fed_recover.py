# SPDX-License-Identifier: MIT
"""FedRecover, by hand: on linear clients an update is delta(w) = 1/2 (target - w), whose derivative is -1/2.

One exact round away from the stored one gives the pair (s, -s/2), from which L-BFGS knows the derivative along s; the
linear clients move along one line, so every estimate is exact, and the result is retraining's.
"""

from __future__ import annotations

import pytest
import torch

from fedlethe.unlearning.fed_recover import FedRecover, hessian_product
from fedlethe.unlearning.retrain import Retrain
from tests.fakes import linear_federation, trained_history

EIGHT = [(round, ("a", "b", "c")) for round in range(1, 9)]


def test_estimated_rounds_are_exact_on_linear_clients_and_train_nobody() -> None:
    federation = linear_federation()
    history = trained_history(federation, EIGHT)
    federation.asked.clear()
    model = (
        FedRecover(warm_up=2, every=10, final=1, pairs=1)
        .unlearn(frozenset("c"), history, federation.without("c"))
        .model
    )
    assert sorted({round for round, _ in federation.asked}) == [1, 2, 8]
    retrained = Retrain().unlearn(frozenset("c"), history, federation.without("c")).model
    torch.testing.assert_close(model, retrained)


def test_the_first_rounds_pair_says_nothing_so_the_client_trains() -> None:
    federation = linear_federation()
    history = trained_history(federation, EIGHT)
    federation.asked.clear()
    FedRecover(warm_up=1, every=10, final=0).unlearn(frozenset("c"), history, federation.without("c"))
    assert [round for round, client in federation.asked if client == "a"][:2] == [1, 2]  # s = 0 in round 1


def test_an_estimate_beyond_all_stored_updates_is_replaced_by_training() -> None:
    federation = linear_federation()
    history = trained_history(federation, EIGHT)
    for round in range(3, 9):
        history._deltas[round, "a"] = torch.full((3,), 2.0)  # as large as the largest; the estimate is off by 1/2 s
    federation.asked.clear()
    FedRecover(warm_up=2, every=10, final=0, pairs=1).unlearn(frozenset("c"), history, federation.without("c"))
    assert {round for round, client in federation.asked if client == "b"} == {1, 2}


def test_the_hessian_maps_the_last_step_to_its_change() -> None:
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(2, 6, generator=generator)
    matrix = torch.diag(torch.arange(1.0, 7.0))
    pairs = [(step, matrix @ step) for step in steps]
    product = hessian_product(pairs, steps[1])
    assert product is not None
    torch.testing.assert_close(product, matrix @ steps[1], rtol=1e-4, atol=1e-4)


def test_the_hessian_of_one_pair_by_hand() -> None:
    """s = (1, 0), y = (2, 0): sigma = 2, B = 2 I - (2 s)(2 s)'/2 + y y'/2 = 2 I."""
    product = hessian_product([(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))], torch.tensor([3.0, 5.0]))
    assert product is not None
    torch.testing.assert_close(product, torch.tensor([6.0, 10.0]))


def test_no_pair_and_a_zero_pair_determine_nothing() -> None:
    assert hessian_product([], torch.ones(2)) is None
    assert hessian_product([(torch.zeros(2), torch.zeros(2))], torch.ones(2)) is None


@pytest.mark.parametrize("options", [{"warm_up": 0}, {"every": 0}, {"final": -1}, {"pairs": 0}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        FedRecover(**options)
