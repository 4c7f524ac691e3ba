# SPDX-License-Identifier: MIT
"""The embedded data set: procedural chest radiographs, drawn from numbers alone, so nobody's image is in them.

A patient has lungs, ribs, clavicles, a spine, a heart, diaphragms and vessels; a positive has ground-glass opacities
besides: soft, textured, mostly peripheral. Every patient may have a breast shadow, calcified dots or a tube, so that
brightness says little. Each hospital has its own scanner (contrast, noise, blur, field of view) and class mix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.data.cache import digest, image_id
from fedlethe.data.decoded_arrays import cached_images
from fedlethe.data.federated import LabelledImages
from fedlethe.data.images import check_image_options
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.seeding import numpy_generator

Plane: TypeAlias = npt.NDArray[Any]
"""One image's worth of float32, shape (H, W); row 0 is the top, brightness about 0 (air) to 1 (bone)."""

VERSION = 1
"""Raised with every change to what is drawn, since the cache and the fingerprint know the options alone."""

FAINT = 0.35
"""How much of an opacity's strength a faint one has: some positives are hard to tell."""

TEXTURE, GRAIN = 28, 96
"""Side of the grids on which anatomy's texture and the scanner's noise are drawn, whatever the image's size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phantom:
    """Synthetic hospitals.

    Attributes:
        hospitals: How many; each is a site, `hospital-0` onwards.
        images_per_hospital: Patients in each, one image a patient.
        size: Images are size x size pixels, gray.
        seed: One seed gives the same images; a patient does not depend on how many others there are.
    """

    hospitals: int = 5
    images_per_hospital: int = 400
    size: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("hospitals", 1), ("images_per_hospital", 4), ("size", 16)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        check_image_options(self.size, 1)

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """Draw the images, or take them from the cache: classes 'normal' and 'opacity', sites the hospitals.

        Raises:
            FedletheError: The cache folder cannot be written.
        """
        scanners = [Scanner.of(hospital, self.size, self.seed) for hospital in range(self.hospitals)]
        patients = [
            (hospital, index) for hospital in range(self.hospitals) for index in range(self.images_per_hospital)
        ]

        def generator_of(who: tuple[int, int]) -> np.random.Generator:
            return numpy_generator(self.seed, "phantom", *who)

        def opaque(hospital: int, generator: np.random.Generator) -> bool:
            return bool(generator.random() < scanners[hospital].prevalence)

        def draw(who: tuple[int, int]) -> npt.NDArray[np.uint8]:
            scanner, generator = scanners[who[0]], generator_of(who)
            return scanner.expose(patient(scanner.grid, opaque(who[0], generator), generator), generator)[None]

        fingerprint = digest("phantom", VERSION, self.hospitals, self.images_per_hospital, self.size, self.seed)
        return LabelledImages(
            images=cached_images(
                lambda: patients,
                draw,
                reading,
                count=len(patients),
                size=self.size,
                channels=1,
                fingerprint=fingerprint,
                source="phantom",
                rows=lambda: [image_id("phantom", VERSION, self.seed, *who) for who in patients],
            ),
            labels=np.array(
                [opaque(who[0], numpy_generator(self.seed, "phantom", *who)) for who in patients], np.int64
            ),
            classes=("normal", "opacity"),
            fingerprint=fingerprint,
            sites=np.array([f"hospital-{hospital}" for hospital, _ in patients]),
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """Coordinates of the pixels' centres, x to the right and y down, -1 to 1 over the field of view at zoom 1."""

    x: Plane
    y: Plane
    texture: Plane  # (H, TEXTURE): interpolates a coarse grid
    grain: Plane  # (H, GRAIN)

    @classmethod
    def of(cls, size: int, zoom: float) -> Grid:
        """The grid of a square image; the larger the zoom, the less is seen."""
        centres = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) / np.float32(zoom)
        x, y = np.meshgrid(centres, centres)
        return cls(x, y, _interpolation(size, TEXTURE), _interpolation(size, GRAIN))


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """How a hospital's images look.

    Attributes:
        prevalence: Share of its patients that have opacities.
        gamma, contrast, brightness: Its tone curve.
        noise: Standard deviation of the grain.
        blur: (H, H) matrix that blurs along an axis.
        grid: Its field of view.
    """

    prevalence: float
    gamma: float
    contrast: float
    brightness: float
    noise: float
    blur: Plane
    grid: Grid

    @classmethod
    def of(cls, hospital: int, size: int, seed: int) -> Scanner:
        """The scanner of one hospital."""
        generator = numpy_generator(seed, "scanner", hospital)
        turn = (hospital * 0.618 + generator.random() * 0.1) % 1  # golden-ratio steps: neighbours differ
        return cls(
            prevalence=0.35 + 0.3 * ((hospital * 0.382 + 0.2) % 1),
            gamma=0.75 + 0.6 * turn,
            contrast=generator.uniform(0.8, 1.1),
            brightness=generator.uniform(-0.06, 0.06),
            noise=0.015 + 0.035 * ((turn + 0.5) % 1),
            blur=_blur(size, 0.006 + 0.016 * generator.random()),
            grid=Grid.of(size, 0.9 + 0.2 * generator.random()),
        )

    def expose(self, image: Plane, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Take a patient's image: blur, exposure, tone curve, grain; uint8, shape (H, W)."""
        exposure = generator.uniform(0.85, 1.15), generator.uniform(-0.05, 0.05)
        image = self.blur @ image @ self.blur.T
        image = np.clip((image - 0.5) * self.contrast * exposure[0] + 0.5 + self.brightness + exposure[1], 0, 1)
        image = image**self.gamma + self.noise * _grown(self.grid.grain, GRAIN, generator)
        return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def patient(grid: Grid, positive: bool, generator: np.random.Generator) -> Plane:
    """One patient, before the scanner, shape (H, W)."""
    angle, scale = generator.normal(0, 0.06), generator.uniform(0.86, 1.1)
    x, y = grid.x - generator.normal(0, 0.06), grid.y - generator.normal(0, 0.06)
    x, y = (math.cos(angle) * x - math.sin(angle) * y) / scale, (math.sin(angle) * x + math.cos(angle) * y) / scale
    width, height, base = generator.uniform(0.27, 0.34), generator.uniform(0.6, 0.7), generator.uniform(0.55, 0.68)
    centres = (-generator.uniform(0.38, 0.44), generator.uniform(0.38, 0.44))
    lungs = np.add(*(_lung(x - centre, y, width, height, base) for centre in centres))
    texture = _grown(grid.texture, TEXTURE, generator)
    body = _edge((1.02 - np.hypot(x * 0.98, y * 0.55)) * 12)
    image = 0.72 * body - (0.5 * lungs)
    heart = _heart(x, y, generator)
    image += _bones(x, y, generator) + heart * (0.07 + 0.36 * lungs)
    image += 0.05 * texture * lungs * np.exp(-(x**2) / 0.3) + _distractions(x, y, lungs, generator)
    opacities = _opacities(x, y, centres, lungs, texture, generator)
    return (image + (opacities if positive else 0)).astype(np.float32)


def _lung(x: Plane, y: Plane, width: float, height: float, base: float) -> Plane:
    """1 inside one lung, 0 outside: an ellipse, narrower at the top, cut by a domed diaphragm."""
    narrowing = 1 - 0.28 * np.clip(-y, 0, 1)
    inside = 1 - np.sqrt((x / (width * narrowing)) ** 2 + ((y + 0.08) / (height + 0.1)) ** 2)
    diaphragm = base - 0.9 * x**2 - y
    return _edge(inside * 14) * _edge(diaphragm * 22)


def _bones(x: Plane, y: Plane, generator: np.random.Generator) -> Plane:
    spine = 0.16 * np.exp(-((x / 0.1) ** 2)) * (1 + 0.15 * np.sin(y * 26 + generator.uniform(0, 6)))
    spacing, start, bend = generator.uniform(0.17, 0.21), generator.uniform(-0.85, -0.75), generator.uniform(0.5, 0.8)
    phase = (y - start - bend * (np.abs(x) - 0.35) ** 2 + 0.15 * np.abs(x)) / spacing
    distance = (phase - np.round(phase)) * spacing
    ribs = generator.uniform(0.07, 0.12) * np.exp(-((distance / 0.026) ** 2)) * _edge((np.abs(x) - 0.14) * 30)
    ribs = ribs * _edge((0.86 - np.abs(x)) * 25) * _edge((0.62 - y) * 20)
    clavicles = 0.14 * np.exp(-(((y + 0.66 + 0.22 * (np.abs(x) - 0.35)) / 0.035) ** 2)) * _edge((0.75 - np.abs(x)) * 20)
    return (spine + ribs + clavicles).astype(np.float32)


def _heart(x: Plane, y: Plane, generator: np.random.Generator) -> Plane:
    """1 inside the heart, which leans to the right of the image, below a narrow mediastinum."""
    size, lean = generator.uniform(0.24, 0.34), generator.uniform(0.2, 0.45)
    across, along = x - 0.06 - lean * (y - 0.15), y - 0.3
    heart = _edge((1 - np.sqrt((across / size) ** 2 + (along / (size * 1.1)) ** 2)) * 6)
    vessels = _edge((0.15 + 0.05 * y - np.abs(x - 0.01)) * 26) * _edge((0.3 - y) * 10)
    return np.maximum(heart, 0.8 * vessels)


def _distractions(x: Plane, y: Plane, lungs: Plane, generator: np.random.Generator) -> Plane:
    """What positives and negatives have alike: breast shadows, calcified dots, a tube."""
    image = np.zeros_like(x)
    for side in (-0.42, 0.42):
        shadow = generator.uniform(0, 0.16) * (generator.random() < 0.5)
        image += shadow * np.exp(-(((x - side) / 0.33) ** 2) - ((y - 0.42) / 0.28) ** 2)
    for _ in range(3):
        place = generator.uniform(-0.65, 0.65), generator.uniform(-0.5, 0.4)
        strength = generator.uniform(0.15, 0.35)
        dot = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.022**2)
        image += strength * dot * (generator.random() < 0.35)
    path = generator.uniform(-0.5, 0.5) + generator.uniform(-0.4, 0.4) * y
    tube = np.exp(-(((x - path) / 0.016) ** 2)) * _edge((generator.uniform(-0.2, 0.5) - y) * 30)
    return image + 0.2 * tube * (generator.random() < 0.3) + generator.uniform(-0.04, 0.1) * lungs


def _opacities(
    x: Plane, y: Plane, centres: tuple[float, float], lungs: Plane, texture: Plane, generator: np.random.Generator
) -> Plane:
    """Ground glass: soft, textured patches, more often outwards and downwards; drawn for every patient."""
    cover = np.zeros_like(x)
    for index in range(6):
        side = centres[int(generator.random() < 0.5)]
        place = side + math.copysign(1, side) * generator.uniform(-0.1, 0.2), generator.uniform(-0.4, 0.45)
        radii = generator.uniform(0.1, 0.22), generator.uniform(0.1, 0.22)
        patch = np.exp(-((((x - place[0]) / radii[0]) ** 2 + ((y - place[1]) / radii[1]) ** 2) ** 1.5))
        present = index < 3 or generator.random() < 0.4
        cover = np.maximum(cover, generator.uniform(0.6, 1.0) * patch * present)
    strength = generator.uniform(0.28, 0.42) * (FAINT if generator.random() < 0.1 else 1)
    return strength * cover * lungs * np.clip(0.6 + 1.2 * texture, 0, 2)


def _edge(value: Plane) -> Plane:
    """A soft step from 0 to 1 at 0."""
    step: Plane = 1 / (1 + np.exp(-np.clip(value, -30, 30)))
    return step.astype(np.float32)


def _grown(weights: Plane, side: int, generator: np.random.Generator) -> Plane:
    """Standard normal noise on a side x side grid, interpolated to the image, shape (H, W)."""
    grown: Plane = weights @ generator.standard_normal((side, side), dtype=np.float32) @ weights.T
    return grown


def _interpolation(size: int, side: int) -> Plane:
    """Weights (size, side) that read a grid linearly at `size` centres, averaging where there are fewer of them."""
    places = (np.arange(size) + 0.5) / size * side - 0.5
    reach = max(1.0, side / size)
    weights: Plane = np.clip(1 - np.abs(places[:, None] - np.arange(side)) / reach, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def _blur(size: int, width: float) -> Plane:
    """A Gaussian blur along one axis, its standard deviation a share of the image's side."""
    places = (np.arange(size) + 0.5) / size
    weights: Plane = np.exp(-0.5 * ((places[:, None] - places) / width) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)
