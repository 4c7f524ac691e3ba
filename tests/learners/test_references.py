# SPDX-License-Identifier: MIT
"""Seeds of the retrainings that erased models are held against."""

from __future__ import annotations

from fedlethe.config import resolve
from fedlethe.learners.references import reference_seeds
from tests.runs.small import NETWORK


def test_more_references_begin_with_the_same_ones_and_no_two_are_alike() -> None:
    config = resolve(NETWORK)
    seeds = reference_seeds(config, 20)
    assert reference_seeds(config, 3) == seeds[:3]
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert reference_seeds(config, 0) == ()


def test_they_follow_from_the_division_and_not_from_the_training() -> None:
    division = {"partition": {"seed": 5}}
    one, other = (resolve({**NETWORK, **division, "seed": seed}) for seed in (1, 2))
    assert one.division_seed == other.division_seed == 5
    assert reference_seeds(one, 3) == reference_seeds(other, 3) != reference_seeds(resolve(NETWORK), 3)
