# SPDX-License-Identifier: MIT
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.privacy import mask as mask_module
from fedlethe.privacy.mask import IsotropicMask, clip_factor, shaped, subspace
from fedlethe.privacy.noise import SecretNoise
from fedlethe.privacy.span import Span
from fedlethe.seeding import numpy_generator
from tests.privacy.test_span import candidates


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


def test_isotropic_noise_has_its_deviation_on_every_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_module, "BLOCK", 16)  # several blocks, and one that is not full
    mask = IsotropicMask(sigma=0.02)
    draws = torch.stack([mask.apply(torch.ones(50), numpy_generator(0, draw)) for draw in range(4000)])
    torch.testing.assert_close(draws.mean(dim=0), torch.ones(50), atol=0.002, rtol=0)
    torch.testing.assert_close(draws.std(dim=0), torch.full((50,), 0.02), atol=0.0015, rtol=0)
    correlation = np.corrcoef(draws.numpy().T) - np.eye(50)
    assert np.abs(correlation).max() < 0.08


def test_isotropic_noise_is_added_in_float64_and_rounded_once() -> None:
    vector = torch.full((200,), 1.0)
    noise = numpy_generator(0, "double").standard_normal(200)
    found = IsotropicMask(sigma=0.1).apply(vector, numpy_generator(0, "double"))
    np.testing.assert_array_equal(found.numpy(), (1.0 + 0.1 * noise).astype(np.float32))


def test_zero_adds_none_and_one_key_gives_one_draw() -> None:
    vector = torch.ones(5)
    assert torch.equal(IsotropicMask().apply(vector, numpy_generator(0)), vector)
    draws = [IsotropicMask(sigma=1.0).apply(vector, SecretNoise(bytes(32), key)) for key in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf])
def test_a_sigma_out_of_range_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma"):
        IsotropicMask(sigma=sigma)
    with pytest.raises(ValueError, match="sigma"):
        subspace(sigma, Span.of(candidates(2, 5)))


def test_subspace_noise_fills_the_span_evenly_and_nothing_else() -> None:
    models = candidates(4, 40)
    span = Span.of(models)
    mask, generator = subspace(0.3, span), np.random.default_rng(0)
    draws = torch.stack([mask.release(span, 2, generator) for _ in range(4000)]).double() - models[2]
    whole = torch.stack(models).double()
    _, _, basis = torch.linalg.svd(whole - whole.mean(dim=0))
    inside, outside = draws @ basis[:3].T, draws @ basis[3:].T
    assert float(outside.abs().max()) < 1e-5
    np.testing.assert_allclose(np.cov(inside.numpy().T), 0.09 * np.eye(3), atol=0.008)
    np.testing.assert_allclose(inside.mean(dim=0).numpy(), np.zeros(3), atol=0.02)


def test_shaped_noise_has_its_covariance() -> None:
    span = Span.of(candidates(3, 40))
    covariance = np.array([[0.04, 0.05], [0.05, 0.09]])  # L' L is far from L L'
    mask, generator = shaped(covariance), np.random.default_rng(0)
    points = span.project([mask.release(span, 0, generator) for _ in range(4000)]) - span.coordinates[0]
    np.testing.assert_allclose(np.cov(points.T), covariance, atol=0.006)


def test_what_is_released_is_a_function_of_the_noisy_point_alone() -> None:
    """Noise that moves candidate 0 to where candidate 1 was moved gives the same bits: rounding tells nothing."""
    span = Span.of(candidates(3, 500))

    class Fixed:
        def __init__(self, draw: np.ndarray) -> None:
            self.draw = draw

        def standard_normal(self, size: int) -> np.ndarray:
            return self.draw

    target = np.array([0.7, -1.1])
    sigma = 2.0**-3
    released = [
        subspace(sigma, span).release(span, erased, Fixed((target - span.coordinates[erased]) / sigma))
        for erased in range(3)
    ]
    differing = [(released[0] != other).sum() for other in released[1:]]
    assert max(differing) <= 2  # but where target - c + c rounds in the last of 53 bits


def test_without_noise_the_candidate_itself_is_released() -> None:
    models = candidates(3, 40)
    span = Span.of(models)
    torch.testing.assert_close(subspace(0.0, span).release(span, 1, np.random.default_rng(0)), models[1])
    same = Span.of([models[0], models[0].clone()])
    assert torch.equal(subspace(0.0, same).release(same, 1, np.random.default_rng(0)), models[0])
