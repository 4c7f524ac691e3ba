# SPDX-License-Identifier: MIT
"""The guarantee under attack: full knowledge never names the client more often than the bound that is printed.

A simplex of candidates, the worst there is, so that the bound is attained and half the noise breaks it; candidates as
they come, of uneven distances, where it must hold as well. The releases are vectors as they would be handed over.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fedlethe.audit.attackers import Success, full_knowledge, guesses
from fedlethe.privacy.accounting import gaussian_sigma
from fedlethe.privacy.hiding import DELTA, Hidden, Masking, hidden_by
from fedlethe.privacy.mask import IsotropicMask, Mask, shaped, subspace
from fedlethe.privacy.shape import cheapest
from fedlethe.privacy.span import Span

RELEASES = 2000
SIMULATED = 40_000
COUNTS = (2, 5, 20)
EPSILONS = (0.5, 1.0, 3.0, 8.0)


def uneven(count: int, size: int = 80) -> Span:
    """Candidates around a common model, some ten times as far out as others."""
    generator = torch.Generator().manual_seed(count)
    reach = torch.logspace(-1, 0, count)
    common = torch.randn(size, generator=generator)
    return Span.of([common + length * torch.randn(size, generator=generator) for length in reach])


def simplex(count: int) -> Span:
    """Candidates that all lie at distance 1 from each other."""
    return Span.of(list(torch.eye(count) / math.sqrt(2)))


def hidden_at(epsilon: float, span: Span) -> Hidden:
    """What the command line would print."""
    sigma = Masking(epsilon=epsilon).sigma_for(span.distance, len(span.models))
    return hidden_by("subspace", [str(k) for k in range(len(span.models))], span.distance, sigma, DELTA, "")


def mask_at(kind: str, sigma: float, span: Span) -> tuple[Mask, np.ndarray | None]:
    """The mask, and the factor of its covariance in the span; None where it is alike in all directions."""
    if kind == "isotropic":
        return IsotropicMask(sigma=sigma), None
    if kind == "subspace":
        return subspace(sigma, span), None
    curvature = np.diag(np.geomspace(1, 0.01, span.rank))
    mask = shaped(cheapest(span.coordinates, curvature, span.distance / sigma).covariance)
    return mask, mask.factor


def attacked(points: np.ndarray, true: np.ndarray, span: Span, factor: np.ndarray | None) -> Success:
    """The likelihood-ratio guess at released points."""
    guessed = guesses(full_knowledge(points, span.coordinates, factor), np.random.default_rng(1))
    return Success.of(guessed == true)


@pytest.mark.parametrize("kind", ["isotropic", "subspace", "shaped"])
@pytest.mark.parametrize("count", COUNTS)
def test_no_release_is_named_more_often_than_the_bound(count: int, kind: str) -> None:
    span = uneven(count)
    for epsilon in EPSILONS:
        hidden, generator = hidden_at(epsilon, span), np.random.default_rng(count)
        mask, factor = mask_at(kind, hidden.sigma, span)
        true = np.arange(RELEASES) % count
        released = [mask.release(span, int(erased), generator) for erased in true]
        success = attacked(span.project(released), true, span, factor)
        assert success.low <= hidden.guess, (epsilon, success, hidden.guess)
        assert 1 / count <= hidden.guess <= math.exp(epsilon) / (math.exp(epsilon) + count - 1) + DELTA


def simulated(span: Span, sigma: float, seed: int) -> Success:
    """Many more releases by the subspace mask, as points of the span."""
    generator = np.random.default_rng(seed)
    true = np.arange(SIMULATED) % len(span.models)
    points = span.coordinates[true] + sigma * generator.standard_normal((SIMULATED, span.rank))
    return attacked(points, true, span, None)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_on_a_simplex_the_bound_is_attained_and_half_the_noise_breaks_it(count: int, epsilon: float) -> None:
    span = simplex(count)
    hidden = hidden_at(epsilon, span)
    assert hidden.sigma == pytest.approx(gaussian_sigma(epsilon, DELTA), rel=1e-6)
    success = simulated(span, hidden.sigma, seed=count)
    assert success.low <= hidden.guess <= success.high
    assert simulated(span, hidden.sigma / 2, seed=count).low > hidden.guess
