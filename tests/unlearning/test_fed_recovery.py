# SPDX-License-Identifier: MIT
"""FedRecovery, by hand, on the two rounds of test_influence.py: steps of 0.5 and 0.25, w_2 = 0.75.

Without c the steps would be 3 and 2.75 (test_fed_accum.py), so the residuals are -2.5 and -2.5. The squared steps are
.25 and .0625, in shares .8 and .2; times two rounds 1.6 and .4; removed: 1.6 x -2.5 + .4 x -2.5 = -5.
"""

from __future__ import annotations

import math

import dp_accounting
import pytest
import torch

from fedlethe.history.history import residual
from fedlethe.unlearning.fed_recovery import FedRecovery
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_residuals_weighted_by_the_rounds_squared_steps() -> None:
    history = trained_history(linear_federation(), ALL)
    torch.testing.assert_close(residual(history, 1, frozenset("c")), torch.full((3,), 0.5 - 3))
    torch.testing.assert_close(residual(history, 2, frozenset("c")), torch.full((3,), 0.25 - 2.75))
    model = FedRecovery().unlearn(frozenset("c"), history, linear_federation().without("c")).model
    torch.testing.assert_close(model, torch.full((3,), 0.75 + 5))


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-3), (2.0, 1e-3), (10.0, 0.01), (20.0, 0.01)])
def test_the_noise_is_calibrated_to_what_is_removed(epsilon: float, delta: float) -> None:
    history = trained_history(linear_federation(), ALL)
    draws = torch.stack(
        [
            FedRecovery(epsilon=epsilon, delta=delta, seed=seed)
            .unlearn(frozenset("c"), history, linear_federation().without("c"))
            .model
            for seed in range(300)
        ]
    )
    sigma = (
        math.sqrt(3) * 5 * dp_accounting.get_sigma_gaussian(epsilon, delta)
    )  # the classical one: 0.2 too little at 20
    assert float(draws.std()) == pytest.approx(sigma, rel=0.08)


def test_a_round_without_the_client_has_no_residual() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "b")), (2, ("a", "b", "c"))])
    assert torch.equal(residual(history, 1, frozenset("c")), torch.zeros(3))


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"delta": 0.0}, {"delta": 1.0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        FedRecovery(**options)  # type: ignore[arg-type]
