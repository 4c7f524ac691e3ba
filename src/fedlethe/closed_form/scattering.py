# SPDX-License-Identifier: MIT
"""Two-dimensional wavelet scattering: features without weights and without training data.

Bruna & Mallat, 'Invariant Scattering Convolution Networks', IEEE TPAMI 2013, to order 2, with Morlet wavelets:

    psi_j,theta(u) = (exp(i xi u_theta) - K) g(u), g a Gaussian of width sigma 2^j along theta, slant times that across;
    S0 = x * phi_J,  S1 = |x * psi_j1| * phi_J,  S2 = ||x * psi_j1| * psi_j2| * phi_J,  j1 < j2 < J,

with xi = 3 pi / 4 / 2^j, sigma = 0.8, K such that psi has mean 0, phi_J a Gaussian of width 0.8 x 2^(J-1) and sum 1.
Convolutions are circular. At scale j a map is taken at every 2^j-th place, beginning at (2^j - 1) / 2, so that the
places lie symmetrically in the image: turning the image by 90 degrees turns every map, exactly, and moves theta on by
L / 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from fedlethe.later import torch

WIDTH, FREQUENCY = 0.8, 3 * math.pi / 4
"""sigma and xi at scale 0, in pixels and radians per pixel."""

PIXELS_AT_ONCE = 16 * 32**2
"""So many pixels of a batch are worked on together, that what they grow to stays in the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """Scattering of square images.

    Attributes:
        size: Side of the image in pixels, a multiple of 2^scales.
        scales: J; maps are averaged over 2^J pixels.
        angles: L, a multiple of 2.
        log: Take log(S + 0.001), which evens out what contrast multiplies.
    """

    size: int
    scales: int = 3
    angles: int = 8
    log: bool = True

    def __post_init__(self) -> None:
        if self.scales < 1:
            raise ValueError(f"scales must be at least 1, not {self.scales}")
        if self.angles < 2 or self.angles % 2:
            raise ValueError(f"angles must be a multiple of 2, not {self.angles}")
        if self.size < 2**self.scales or self.size % 2**self.scales:
            raise ValueError(f"size must be a multiple of {2**self.scales} (2 to the scales), not {self.size}")

    @property
    def maps(self) -> int:
        """How many maps: 1 + J L + L^2 J (J - 1) / 2."""
        return 1 + self.scales * self.angles + self.angles**2 * self.scales * (self.scales - 1) // 2

    @property
    def side(self) -> int:
        """Side of a map after averaging."""
        return self.size // int(2**self.scales)

    @cached_property
    def _bank(self) -> _Bank:
        return _bank(self.size, self.scales, self.angles)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The maps of images.

        Args:
            images: Real, shape (N, size, size).

        Returns:
            float32, shape (N, maps, side, side): S0, S1 by (j1, theta1), S2 by (j1, theta1, j2, theta2).
        """
        maps = torch.empty(len(images), self.maps, self.side, self.side)
        step = max(1, PIXELS_AT_ONCE // self.size**2)
        with _one_thread():
            for start in range(0, len(images), step):
                maps[start : start + step] = self._scatter(images[start : start + step].float())
            return maps.clamp_min_(0).add_(1e-3).log_() if self.log else maps

    def _scatter(self, images: torch.Tensor) -> torch.Tensor:
        bank = self._bank
        spectrum = torch.fft.fft2(images)
        first, second = [bank.average(images)[:, None]], []
        for j1 in range(self.scales):
            maps = bank.wavelet(spectrum, 0, j1)  # (N, L, size / 2^j1, size / 2^j1)
            first.append(bank.average(maps))
            if j1 + 1 < self.scales:
                spectra = torch.fft.fft2(maps)
                found = [bank.average(bank.wavelet(spectra, j1, j2)) for j2 in range(j1 + 1, self.scales)]
                second.append(torch.stack(found, dim=2).flatten(1, 3))  # (N, L x scales x L, side, side)
        return torch.cat([*first, *second], dim=1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The pieces are too small to be shared out: several threads take longer than one."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


class _Bank:
    """The filters of one size: wavelets as spectra, the average as a matrix.

    Args:
        size: Side of the image.
        scales: J.
        angles: L.
    """

    def __init__(self, size: int, scales: int, angles: int) -> None:
        self.size, self.scales = size, scales
        self.side = size // int(2**scales)
        self._spectra = {
            (before, j): _blocks(
                torch.from_numpy(np.stack([_spectrum(size, before, j, angles, index) for index in range(angles)])).to(
                    torch.complex64
                ),
                2 ** (j - before),
            )
            for j in range(scales)
            for before in (0, *range(j))
        }
        averages = {size // 2**j: _average(size, j, scales) for j in range(scales)}
        self._averages = {  # (n n, side side): a Gaussian is the product of two
            n: torch.from_numpy(np.kron(one, one).T.astype(np.float32)) for n, one in averages.items()
        }

    def wavelet(self, spectrum: torch.Tensor, before: int, j: int) -> torch.Tensor:
        """|x * psi_j| of maps at scale `before`, from their spectra (..., n, n): (..., L, n', n')."""
        # Fewer places: the product's spectrum folded, which is the sum over its blocks.
        filters = self._spectra[before, j]
        parts = _blocks(spectrum.unsqueeze(-3), 2 ** (j - before))
        product = parts[0] * filters[0]
        for part, filter in zip(parts[1:], filters[1:], strict=True):
            product.addcmul_(part, filter)
        found: torch.Tensor = torch.fft.ifft2(product).abs()
        return found

    def average(self, maps: torch.Tensor) -> torch.Tensor:
        """X * phi_J of maps (..., n, n): (..., side, side)."""
        matrix = self._averages[maps.shape[-1]]
        found: torch.Tensor = maps.flatten(-2) @ matrix
        return found.reshape(*maps.shape[:-2], self.side, self.side)


def _blocks(spectra: torch.Tensor, count: int) -> list[torch.Tensor]:
    """`count` x `count` blocks of spectra (..., n, n)."""
    return [block for rows in spectra.chunk(count, dim=-2) for block in rows.chunk(count, dim=-1)]


@lru_cache(maxsize=8)
def _bank(size: int, scales: int, angles: int) -> _Bank:
    return _Bank(size, scales, angles)


Array = npt.NDArray[np.float64]


def _spectrum(size: int, before: int, j: int, angles: int, index: int) -> npt.NDArray[np.complex128]:
    """The spectrum of psi_j,theta on the places of scale `before`, shape (n, n), n = size / 2^before."""
    spacing = 2**before
    places = np.arange(size // spacing) * spacing + (2**j - spacing) / 2
    theta = math.pi * index / angles
    periods = range(-_periods(size, j), _periods(size, j) + 1)
    rows = [places + size * period for period in periods]
    envelope, wave = np.zeros((len(places),) * 2), np.zeros((len(places),) * 2, np.complex128)
    slant = 4 / angles
    width, frequency = WIDTH * 2**j, FREQUENCY / 2**j
    for y in rows:
        for x in rows:
            along = x[None, :] * math.cos(theta) + y[:, None] * math.sin(theta)
            across = -x[None, :] * math.sin(theta) + y[:, None] * math.cos(theta)
            gaussian = np.exp(-(along**2 + (slant * across) ** 2) / (2 * width**2))
            envelope += gaussian
            wave += gaussian * np.exp(1j * frequency * along)
    psi = wave - wave.sum() / envelope.sum() * envelope
    fold = 4 ** (j - before)  # what a sum in the place of a mean over the folded spectrum makes too large
    spectrum: npt.NDArray[np.complex128] = np.fft.fft2(psi * spacing**2 * slant / (2 * math.pi * width**2)) / fold
    return spectrum


def _average(size: int, j: int, scales: int) -> Array:
    """phi_J in one dimension, from the places of scale j to those of scale J: (size / 2^J, size / 2^j)."""
    sources = np.arange(size // 2**j) * 2**j + (2**j - 1) / 2
    targets = np.arange(size // 2**scales) * 2**scales + (2**scales - 1) / 2
    apart = targets[:, None] - sources[None, :]
    width = WIDTH * 2 ** (scales - 1)
    periods = range(-_periods(size, scales), _periods(size, scales) + 1)
    weights: Array = sum((np.exp(-((apart + size * period) ** 2) / (2 * width**2)) for period in periods), np.zeros(()))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _periods(size: int, j: int) -> int:
    """How many images away a filter of scale j is still felt."""
    return math.ceil(8 * WIDTH * 2.0**j / size) + 1
