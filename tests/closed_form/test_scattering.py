# SPDX-License-Identifier: MIT
"""Scattering against sums written out in float64, and what it owes to its symmetry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.closed_form.scattering import Scattering

Array = Any


def _morlet(x: Array, y: Array, j: int, theta: float, slant: float, size: int, spacing: int) -> Array:
    """psi_j,theta at displacements x, y, made periodic, less the part that would give it a mean."""

    def both(x: Array, y: Array) -> tuple[Array, Array]:
        gaussian, wave = np.zeros(x.shape), np.zeros(x.shape, complex)
        for across in range(-6, 7):
            for down in range(-6, 7):
                u = (x + across * size) * math.cos(theta) + (y + down * size) * math.sin(theta)
                v = -(x + across * size) * math.sin(theta) + (y + down * size) * math.cos(theta)
                bell = np.exp(-(u**2 + slant**2 * v**2) / (2 * (0.8 * 2**j) ** 2))
                gaussian += bell
                wave += bell * np.exp(1j * 3 * math.pi / 4 / 2**j * u)
        return gaussian, wave

    places = np.arange(0, size, spacing) + (2**j - spacing) / 2
    whole, waves = both(*np.meshgrid(places, places))
    gaussian, wave = both(x, y)
    return (wave - waves.sum() / whole.sum() * gaussian) * slant / (2 * math.pi * (0.8 * 2**j) ** 2)


def _places(size: int, j: int) -> Array:
    return np.arange(0, size, 2**j) + (2**j - 1) / 2


def _wavelet(image: Array, size: int, before: int, j: int, theta: float, slant: float) -> Array:
    """|image * psi| by the sum itself: at each place, over all places of the image."""
    sources, targets = _places(size, before), _places(size, j)
    result = np.zeros((len(targets), len(targets)))
    sx, sy = np.meshgrid(sources, sources)
    for row, y in enumerate(targets):
        for column, x in enumerate(targets):
            psi = _morlet(x - sx, y - sy, j, theta, slant, size, 2**before)
            result[row, column] = abs((image * psi).sum() * 4**before)
    return result


def _average(image: Array, size: int, j: int, scales: int) -> Array:
    sources, targets = _places(size, j), _places(size, scales)
    result = np.zeros((len(targets), len(targets)))
    for row, y in enumerate(targets):
        for column, x in enumerate(targets):
            weights = np.zeros(image.shape)
            for across in range(-6, 7):
                for down in range(-6, 7):
                    apart = np.meshgrid(x - sources + across * size, y - sources + down * size)
                    weights += np.exp(-(apart[0] ** 2 + apart[1] ** 2) / (2 * (0.8 * 2 ** (scales - 1)) ** 2))
            result[row, column] = (weights * image).sum() / weights.sum()
    return result


def _naive(image: Array, scales: int, angles: int) -> Array:
    size = len(image)
    thetas, slant = [math.pi * index / angles for index in range(angles)], 4 / angles
    first, second = [_average(image, size, 0, scales)], []
    for j1 in range(scales):
        for theta1 in thetas:
            one = _wavelet(image, size, 0, j1, theta1, slant)
            first.append(_average(one, size, j1, scales))
            for j2 in range(j1 + 1, scales):
                for theta2 in thetas:
                    two = _wavelet(one, size, j1, j2, theta2, slant)
                    second.append(_average(two, size, j2, scales))
    return np.stack([*first, *second])


@pytest.mark.parametrize(("size", "scales", "angles"), [(8, 2, 4), (16, 3, 2)])
def test_it_is_the_sum_that_defines_it(size: int, scales: int, angles: int) -> None:
    image = np.random.default_rng(size).normal(size=(size, size))
    expected = _naive(image, scales, angles)
    found = Scattering(size=size, scales=scales, angles=angles, log=False)(torch.from_numpy(image)[None])[0].numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.linalg.norm(found[1:] - expected[1:]) <= 1e-4 * np.linalg.norm(expected[1:])


def test_turning_the_image_turns_the_maps_and_moves_the_angles_on() -> None:
    scattering = Scattering(size=32, log=False)
    images = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    before, after = scattering(images), scattering(torch.rot90(images, -1, (1, 2)))  # clockwise: theta grows
    turned = torch.rot90(before, -1, (2, 3))
    torch.testing.assert_close(after[:, 0], turned[:, 0])
    angles, scales = 8, 3
    first = turned[:, 1 : 1 + scales * angles].reshape(2, scales, angles, 4, 4).roll(angles // 2, dims=2)
    torch.testing.assert_close(after[:, 1 : 1 + scales * angles], first.flatten(1, 2), atol=1e-6, rtol=1e-4)
    second = turned[:, 1 + scales * angles :].reshape(2, -1, angles, 4, 4)
    rest = [(j1, theta, j2) for j1 in range(scales) for theta in range(angles) for j2 in range(j1 + 1, scales)]
    moved = [rest.index((j1, (theta - angles // 2) % angles, j2)) for j1, theta, j2 in rest]
    second = second[:, moved].roll(angles // 2, dims=2).flatten(1, 2)
    torch.testing.assert_close(after[:, 1 + scales * angles :], second, atol=1e-6, rtol=1e-4)


def test_a_constant_image_has_its_mean_and_nothing_else() -> None:
    maps = Scattering(size=16, scales=2, log=False)(torch.full((1, 16, 16), 3.0))
    torch.testing.assert_close(maps[0, 0], torch.full((4, 4), 3.0))
    assert float(maps[0, 1:].abs().max()) < 1e-5


def test_the_numbers_of_maps_and_features() -> None:
    scattering = Scattering(size=32)
    assert (scattering.maps, scattering.side, scattering.maps * scattering.side**2) == (217, 4, 3472)
    assert scattering(torch.zeros(0, 32, 32)).shape == (0, 217, 4, 4)


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    scattering = Scattering(size=32)
    images = torch.rand(40, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(scattering(images)[37], scattering(images[37:38])[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 20}, "multiple of 8"), ({"size": 32, "angles": 3}, "angles"), ({"size": 32, "scales": 0}, "scales")],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scattering(**options)
