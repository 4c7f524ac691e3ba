# SPDX-License-Identifier: MIT
"""SIFU, by hand: without c the steps of test_influence.py are 3 and 2.75, not 0.5 and 0.25: 2.5 sqrt 3 away each.

The bound is the largest sensitivity that the noise hides: at the defaults, epsilon 10 and delta 0.01, 2.8564 sigma.
"""

from __future__ import annotations

import math

import dp_accounting
import pytest
import torch

from fedlethe.unlearning.sifu import Sifu
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]
EPSILON, DELTA = 10.0, 0.01
PSI = 2.5 * math.sqrt(3)
SIGMA = 0.350097
"""Of sensitivity 1. The classical formula's, sqrt(2 log 125) / 10 = 0.3108, gives a delta of 0.0406."""


def _unlearned(method: Sifu, schedule: object = ALL) -> tuple[torch.Tensor, str | None]:
    history = trained_history(linear_federation(), schedule)  # type: ignore[arg-type]
    unlearned = method.unlearn(frozenset("c"), history, linear_federation().without("c"))
    return unlearned.model, unlearned.guarantee.statement if unlearned.guarantee else None


def test_a_tight_bound_goes_back_to_the_start_and_is_exact() -> None:
    model, guarantee = _unlearned(Sifu(epsilon=EPSILON, sigma=SIGMA * PSI * 0.99, delta=DELTA))
    torch.testing.assert_close(model, torch.full((3,), 4.5))  # 0, then half of the way to 6 twice
    assert guarantee == "trained on the retained clients alone after round 0"


def test_a_wide_bound_goes_back_less_far_under_noise() -> None:
    # Psi(1) is within the bound, Psi(2) = 2 Psi(1) is not: back to w_1 = 0.5, and one round: (0.5 + noise + 6) / 2.
    sigma = SIGMA * PSI * 1.01
    ends = [_unlearned(Sifu(epsilon=EPSILON, sigma=sigma, delta=DELTA, seed=seed)) for seed in range(200)]
    models = torch.stack([model for model, _ in ends])
    assert float(models.std()) == pytest.approx(sigma / 2, rel=0.1)
    assert float(models.mean()) == pytest.approx(3.25, abs=3 * sigma / 2 / math.sqrt(600))
    assert {guarantee for _, guarantee in ends} == {None}


def test_where_nothing_is_beyond_the_bound_the_final_model_gets_the_noise() -> None:
    sigma = SIGMA * 2 * PSI * 1.01
    models = torch.stack(
        [_unlearned(Sifu(epsilon=EPSILON, sigma=sigma, delta=DELTA, seed=seed))[0] for seed in range(200)]
    )
    assert float(models.std()) == pytest.approx(sigma, rel=0.1)
    assert float(models.mean()) == pytest.approx(0.75, abs=3 * sigma / math.sqrt(600))


def test_rounds_that_the_client_did_not_enter_cost_nothing() -> None:
    model, guarantee = _unlearned(Sifu(epsilon=1e-6, sigma=1e-6, delta=DELTA), [(1, ("a", "b")), *ALL[1:]])
    torch.testing.assert_close(model, torch.full((3,), 4.5))  # w_1 = 3 without c; no noise; once more half-way to 6
    assert guarantee == "trained on the retained clients alone after round 1"


@pytest.mark.parametrize(("epsilon", "delta"), [(0.3, 1e-6), (1.0, 1e-5), (3.0, 1e-5), (10.0, 0.01), (30.0, 1e-3)])
def test_the_noise_hides_the_sensitivity_that_it_lets_by(epsilon: float, delta: float) -> None:
    """Just enough noise to go back to round 1 keeps to delta by dp-accounting; a little less goes back to the start."""
    least = PSI * dp_accounting.get_sigma_gaussian(epsilon, delta)
    for scale, noisy in ((1.0001, True), (0.9999, False)):
        _, guarantee = _unlearned(Sifu(epsilon=epsilon, sigma=scale * least, delta=delta))
        assert (guarantee is None) == noisy


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"sigma": math.inf}, {"delta": 1.0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sifu(**options)  # type: ignore[arg-type]
