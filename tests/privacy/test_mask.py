# SPDX-License-Identifier: MIT
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.privacy.mask import IsotropicMask, clip_factor
from fedlethe.seeding import numpy_generator


@given(values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), norm=st.floats(1e-3, 1e6))
def test_clip_keeps_the_direction_and_bounds_the_norm(values: list[float], norm: float) -> None:
    vector = torch.tensor(values)
    clipped = clip_factor(vector, norm) * vector
    length = math.sqrt(sum(value**2 for value in vector.tolist()))
    assert float(clipped.double().norm()) <= max(norm, 0) * (1 + 1e-5)
    expected = vector if length <= norm else vector * (norm / length)
    torch.testing.assert_close(clipped, expected)


def test_no_clip_and_a_zero_vector() -> None:
    assert clip_factor(torch.tensor([3.0, 4.0]), math.inf) == 1.0
    assert clip_factor(torch.tensor([3.0, 4.0]), 2.5) == 0.5
    assert clip_factor(torch.zeros(2), 1.0) == 1.0


def test_the_noise_has_the_deviation_that_is_asked_for_on_every_weight() -> None:
    mask = IsotropicMask(sigma=0.02)
    draws = torch.stack([mask.apply(torch.ones(50), numpy_generator(0, draw)) for draw in range(4000)])
    torch.testing.assert_close(draws.mean(dim=0), torch.ones(50), atol=0.002, rtol=0)
    torch.testing.assert_close(draws.std(dim=0), torch.full((50,), 0.02), atol=0.0015, rtol=0)


def test_zero_adds_none_and_one_key_gives_one_draw() -> None:
    vector = torch.ones(5)
    assert torch.equal(IsotropicMask().apply(vector, numpy_generator(0)), vector)
    first, again, other = (IsotropicMask(sigma=1.0).apply(vector, numpy_generator(0, key)) for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf])
def test_a_sigma_out_of_range_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma"):
        IsotropicMask(sigma=sigma)
