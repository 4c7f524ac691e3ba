# SPDX-License-Identifier: MIT
"""The attack of `frontier` against the bound that `erase` prints: it stays below it, and half the noise is found out.

Ten thousand releases a case, by all three masks. Candidates that are equally far apart attain the bound; candidates as
they come stay below it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fedlethe.erasing.masking import shape_of
from fedlethe.privacy.accounting import Array
from fedlethe.privacy.hiding import DELTA, KINDS, Hidden, Masking, MaskKind, hidden_by
from fedlethe.privacy.mask import IsotropicMask, Mask, subspace
from fedlethe.privacy.span import Span
from fedlethe.studies.releases import Scene, simulated
from fedlethe.types import TimesNamed

RELEASES = 10_000
COUNTS = (2, 5, 20)
EPSILONS = (0.5, 1.0, 3.0, 8.0)
SIZE = 60


def scene(models: list[torch.Tensor]) -> Scene:
    """What the attackers know of these candidates; each client's influence is what its candidate lacks."""
    span, trained = Span.of(models), torch.zeros(SIZE)
    points = Span.of([trained, *models]).coordinates
    axes = span.basis.T @ (points[1:] - points[1:].mean(axis=0))
    return Scene(span=span, before=points[0], candidates=points[1:], influences=points[0] - points[1:], axes=axes)


def equidistant(count: int) -> Scene:
    return scene(list(3.0 * torch.eye(SIZE)[:count]))


def uneven(count: int, seed: int) -> Scene:
    """Candidates of which some lie ten times as far out as others."""
    generator = torch.Generator().manual_seed(seed)
    reach = torch.logspace(-1, 0, count)
    return scene([length * torch.randn(SIZE, generator=generator) for length in reach])


def mask_of(kind: MaskKind, sigma: float, span: Span, hessian: Array) -> Mask:
    if kind == "isotropic":
        return IsotropicMask(sigma=sigma)
    return subspace(sigma, span) if kind == "subspace" else shape_of(span, hessian, sigma, "a test")[0]


def attacked(found: Scene, kind: MaskKind, epsilon: float, noise: float = 1.0) -> tuple[TimesNamed, Hidden]:
    """Full knowledge's success where the noise is `noise` times what it should be, and what the record claims."""
    span, count = found.span, len(found.candidates)
    sigma = Masking(epsilon=epsilon).sigma_for(span.distance, count)
    hidden = hidden_by(kind, [str(k) for k in range(count)], span.distance, sigma, DELTA, "")
    mask = mask_of(kind, noise * sigma, span, np.diag(np.linspace(1.0, 0.5, span.rank)))
    _, full = simulated(found, mask, RELEASES // count, np.random.default_rng(count))
    assert full.attacker == "full knowledge"
    return full, hidden


def exceeds(success: TimesNamed, hidden: Hidden) -> bool:
    """The check: whether the bound lies below the attack's interval."""
    return success.low > hidden.guess


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", COUNTS)
def test_it_attains_the_bound_among_equidistant_candidates_and_finds_half_the_noise(count: int, kind: MaskKind) -> None:
    found = equidistant(count)
    for epsilon in EPSILONS:
        success, hidden = attacked(found, kind, epsilon)
        assert not exceeds(success, hidden), (epsilon, success, hidden.guess)
        assert success.high >= hidden.guess
        assert exceeds(*attacked(found, kind, epsilon, noise=0.5)), epsilon


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", COUNTS)
def test_it_stays_below_the_bound_wherever_candidates_lie(count: int, kind: MaskKind) -> None:
    for seed, epsilon in enumerate(EPSILONS):
        success, hidden = attacked(uneven(count, seed), kind, epsilon)
        assert not exceeds(success, hidden), (epsilon, success, hidden.guess)
        assert 1 / count < hidden.guess < math.exp(epsilon) / (math.exp(epsilon) + count - 1) + DELTA


def test_the_server_view_knows_no_more_than_full_knowledge() -> None:
    found = uneven(5, 0)
    mask = subspace(found.span.distance / 2, found.span)
    server, full = simulated(found, mask, 2000, np.random.default_rng(0))
    assert 0.2 < server.low < full.high
