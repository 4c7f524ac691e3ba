# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.privacy import span as span_module
from fedlethe.privacy.span import Span


def candidates(count: int, size: int, seed: int = 0, apart: float = 0.1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(size, generator=generator)
    return [common + apart * torch.randn(size, generator=generator) for _ in range(count)]


@given(count=st.integers(1, 8), size=st.integers(8, 60), seed=st.integers(0, 1000), apart=st.floats(1e-3, 10.0))
def test_distances_and_models_are_kept(count: int, size: int, seed: int, apart: float) -> None:
    models = candidates(count, size, seed, apart)
    span = Span.of(models)
    assert span.rank == count - 1
    whole = torch.stack(models).double()
    naive = torch.cdist(whole, whole, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    found = np.linalg.norm(span.coordinates[:, None] - span.coordinates[None], axis=-1)
    np.testing.assert_allclose(found, naive, atol=1e-6 * max(apart, 1e-3))
    assert span.distance == pytest.approx(naive.max(), rel=1e-5, abs=1e-9)
    for model, point in zip(models, span.coordinates, strict=True):
        torch.testing.assert_close(span.at(point), model)
    np.testing.assert_allclose(span.project(models), span.coordinates, atol=1e-5 * apart)


def test_a_point_of_the_span_lies_where_it_should() -> None:
    """Against an orthonormal basis by the singular value decomposition."""
    models = candidates(4, 30)
    span = Span.of(models)
    whole = torch.stack(models).double()
    _, _, basis = torch.linalg.svd(whole - whole.mean(dim=0), full_matrices=False)
    moved = (span.at(np.array([0.3, -0.2, 0.5])) - whole.mean(dim=0)).double()
    assert float(moved.norm()) == pytest.approx(np.linalg.norm([0.3, -0.2, 0.5]), rel=1e-5)
    within = basis[:3].T @ (basis[:3] @ moved)
    torch.testing.assert_close(within, moved, atol=1e-6, rtol=0)  # nothing of it lies outside the span
    outside = torch.randn(30, generator=torch.Generator().manual_seed(9)).double()
    outside -= basis[:3].T @ (basis[:3] @ outside)
    shifted = (whole.mean(dim=0) + moved + outside).float()
    np.testing.assert_allclose(span.project([shifted])[0], [0.3, -0.2, 0.5], atol=1e-5)


def test_candidates_in_one_plane_span_no_more() -> None:
    one, other, third = candidates(3, 40)
    span = Span.of([one, other, third, (one + other) / 2, one + 2 * (third - other)])
    assert span.rank == 2
    torch.testing.assert_close(span.at(span.coordinates[4]), one + 2 * (third - other))


def test_candidates_that_coincide_span_nothing() -> None:
    (one,) = candidates(1, 50)
    upwards = torch.nextafter(one, torch.full_like(one, torch.inf))
    rounded = torch.where(torch.arange(50) % 2 == 0, upwards, one)  # the same model, rounded otherwise
    assert not torch.equal(one, rounded)
    for models in ([one], [one, one.clone()], [one, rounded, one]):
        span = Span.of(models)
        assert (span.rank, span.distance) == (0, 0.0)
        torch.testing.assert_close(span.at(np.zeros(0)), one, rtol=1e-6, atol=1e-7)
    bits = {Span.of([one, rounded]).at(np.zeros(0)).numpy().tobytes() for _ in range(2)}
    assert len(bits) == 1


def test_it_is_the_same_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    models, point = candidates(3, 100), np.array([0.1, -0.4])
    whole = Span.of(models)
    monkeypatch.setattr(span_module, "BLOCK", 7)
    blocks = Span.of(models)
    np.testing.assert_allclose(blocks.coordinates, whole.coordinates, atol=1e-12)
    torch.testing.assert_close(blocks.at(point), whole.at(point))
    np.testing.assert_allclose(blocks.project(models), whole.project(models), atol=1e-12)
