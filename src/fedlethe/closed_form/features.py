# SPDX-License-Identifier: MIT
"""Frozen feature maps: images -> float32 rows, the same for every client, and never trained on any of theirs.

A map is a frozen dataclass whose fields are its options; one row in FEATURES. `featurised` applies it to a federation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from fedlethe.closed_form.scattering import Scattering
from fedlethe.data.cache import digest
from fedlethe.data.federated import normalise
from fedlethe.data.phantom import Phantom
from fedlethe.errors import ConfigError, DataError
from fedlethe.files import sha256_of
from fedlethe.later import functional, nn, torch
from fedlethe.models.resnet import ResNet18, ResNet50
from fedlethe.outside.deferred import Outside
from fedlethe.outside.plugins import Registry, frozen_dataclass, guarded, lacking
from fedlethe.outside.source_file import SourceFile
from fedlethe.seeding import numpy_generator, torch_generator
from fedlethe.text import with_article

Transform: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"
"""From images, float32 in [-1, 1], shape (n, C, H, W), to features, float32, shape (n, d)."""

ImageShape: TypeAlias = tuple[int, ...]


class FeatureMap(Protocol):
    """See the module's docstring."""

    def key(self) -> str:
        """Names everything that its features depend on."""
        ...

    def prepare(self, shape: ImageShape) -> Transform:
        """The map for images of a shape (C, H, W).

        Raises:
            FedletheError: It does not take such images, or its file cannot be used.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ScatteringFeatures:
    """Wavelet scattering of each channel (see `closed_form.scattering`): no weights and no training data.

    Images are padded by reflection to a multiple of 2^scales.

    Attributes:
        scales: J; None for as many as leave maps of about 4 x 4: 3 at 32 pixels, 4 at 64, 5 at 128.
        angles: L, a multiple of 2.
        log: Take log(S + 0.001).
    """

    scales: int | None = None
    angles: int = 8
    log: bool = True

    def __post_init__(self) -> None:
        scales = 3 if self.scales is None else self.scales
        Scattering(size=2 ** max(scales, 1), scales=scales, angles=self.angles, log=self.log)

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"scattering 1, scales {self.scales}, angles {self.angles}, log {self.log}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        side = max(shape[1:])
        scales = max(1, math.ceil(math.log2(side)) - 2) if self.scales is None else self.scales
        size = -(-side // 2**scales) * 2**scales
        scattering = Scattering(size=size, scales=scales, angles=self.angles, log=self.log)
        down, across = size - shape[1], size - shape[2]
        if max(down, across) >= 2 * min(shape[1:]) - 1:
            raise DataError(f"scattering: images of {shape[1]} x {shape[2]} are too small for {scales} scales")
        padding = (across // 2, across - across // 2, down // 2, down - down // 2)

        def transform(images: torch.Tensor) -> torch.Tensor:
            padded = functional.pad(images, padding, mode="reflect").flatten(0, 1)  # (n x C, size, size)
            return scattering(padded).reshape(len(images), -1)

        return transform


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneFeatures:
    """A frozen ResNet's features before its last layer: 512 of ResNet-18, 2048 of ResNet-50.

    Attributes:
        weights: A safetensors file of a state dict with torchvision's names, as of ImageNet (MONAI's have them, too).
        network: 'resnet18' or 'resnet50'.
    """

    weights: Path
    network: Literal["resnet18", "resnet50"] = "resnet18"

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"backbone 1, {self.network}, {_content(self.weights)}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        if min(shape[1:]) < 32:
            raise DataError(f"backbone: takes images of 32 x 32 and more, not {shape[1]} x {shape[2]}; set data.size")
        kind = ResNet18 if self.network == "resnet18" else ResNet50
        with torch.random.fork_rng(devices=[]):
            network = kind(weights=self.weights).build(shape[0], 2)
        network.fc = nn.Identity()
        return _frozen(network.eval())


@dataclass(frozen=True, kw_only=True, slots=True)
class TorchScriptFeatures:
    """What a TorchScript file makes of images: any frozen network, its output flattened.

    Attributes:
        weights: The file; take it only from whom you trust, since it is a program.
    """

    weights: Path

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"torchscript 1, {_content(self.weights)}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        _content(self.weights)

        def loaded() -> Transform:
            return _frozen(torch.jit.load(str(self.weights), map_location="cpu").eval())  # type: ignore[no-untyped-call]

        try:
            loaded()(torch.zeros(2, *shape))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise DataError(
                f"{self.weights}: cannot be used as TorchScript on images of {' x '.join(map(str, shape))} ({reason})"
            ) from None
        return repeatable(loaded, shape, f"features 'torchscript', {self.weights}")


def _problem(kind: Any) -> str | None:
    if not frozen_dataclass(kind):
        return "is no feature map; make it a frozen dataclass with key() and prepare(shape)"
    return lacking(
        kind, {"key": "def key(self) -> str", "prepare": "def prepare(self, shape: ImageShape) -> Transform"}
    )


FEATURES: Registry[type[FeatureMap]] = Registry(
    "feature map",
    "fedlethe.feature_maps",
    {
        "scattering": f"{__name__}:ScatteringFeatures",
        "backbone": f"{__name__}:BackboneFeatures",
        "efficientnet-lite0": "fedlethe.closed_form.lite_features:LiteFeatures",
        "torchscript": f"{__name__}:TorchScriptFeatures",
    },
    _problem,
)


@dataclass(frozen=True, kw_only=True)
class OutsideFeatures:
    """A feature map that does not come with fedlethe.

    Attributes:
        outside: A frozen dataclass with `key` and `prepare`.
    """

    outside: Outside[FeatureMap]

    def key(self) -> str:
        """See `FeatureMap.key`; its code is named, too, so that features of other code are never taken for these."""
        code = SourceFile.of(self.outside.name, self.outside.kind)
        options = digest(*map(str, sorted(self.outside.options.items())))[:16]  # an author's key may forget one
        key = self.outside.guarded(self.outside.built().key)
        if not isinstance(key, str):
            raise ConfigError(f"{self.outside.where}: key gives {with_article(key)}; return a text")
        return f"{code.name}, {code.sha256}, options {options}, {key}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        return repeatable(lambda: self.outside.built().prepare(shape), shape, self.outside.where)


def repeatable(prepare: Callable[[], Any], shape: ImageShape, where: str) -> Transform:
    """The transform of a map of its author's, whose every answer is looked at; it is prepared twice, and asked twice.

    Formal guarantees:
        A row is made of its image alone, since the map is asked for one image at a time.

    Args:
        prepare: Prepares the map for images of `shape`.
        shape: (C, H, W).
        where: Names the map in messages.

    Raises:
        ConfigError: It cannot be called, or makes other features the next time or of other images beside one; or, when
            it is called, it fails or gives what are no features.
    """
    asked = torch.rand((3, *shape), generator=torch_generator(0, "feature map")) * 2 - 1
    first, again = (_held_to(guarded(prepare, where, _REMEDY), where) for _ in range(2))
    # The cache holds what was made once: a map that draws by chance would be another one without it.
    if not torch.equal(first(asked), again(asked)) or not torch.equal(first(asked), again(asked)):
        raise ConfigError(
            f"{where}: makes other features of the same images the next time; draw nothing by chance, or an erasure "
            "is of other features than the training"
        )

    # What a client's sums hold must not hang on who else was in the batch: those could be patients that leave.
    def one_by_one(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([first(image[None]) for image in images]) if len(images) else first(images)

    rows, alone = first(asked), one_by_one(asked)
    # Against how far images lie apart, since features have units of their own; a range that int8 takes of its batch,
    # and half precision's rounding, are less. What is more is not what its author meant.
    spread = torch.linalg.vector_norm(rows - rows.mean(dim=0))
    if alone.shape != rows.shape or torch.linalg.vector_norm(alone - rows) > ALONE * spread + 1e-6 * rows.norm():
        raise ConfigError(
            f"{where}: a row depends on the other images of its batch; make each of its image alone (call eval() on a "
            "network)"
        )
    return one_by_one


ALONE = 0.02
"""How far rows of images alone may lie from those of a batch, over how far the images lie apart."""

_REMEDY = "correct it, or its options"


def _held_to(transform: Any, where: str) -> Transform:
    if not callable(transform):
        raise ConfigError(f"{where}: prepare gives {with_article(transform)}; return a function of images")

    def held(images: torch.Tensor) -> torch.Tensor:
        features = guarded(lambda: transform(images), where, _REMEDY)
        wanted = f"a float tensor ({len(images)}, d), d at least 1"
        two = isinstance(features, torch.Tensor) and features.ndim == 2
        if not two or len(features) != len(images) or not features.shape[1]:
            shape = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
            raise ConfigError(f"{where}: gives {shape} for {len(images)} images; return {wanted}")
        if not features.is_floating_point() or not bool(torch.isfinite(features).all()):
            raise ConfigError(f"{where}: gives features that are not finite floats; return {wanted}")
        rows: torch.Tensor = features.detach().float()
        return rows

    return held


@dataclass(frozen=True, kw_only=True, slots=True)
class Projected:
    """Another map's features, times a random matrix of independent Gaussians (Johnson & Lindenstrauss, 1984).

    The matrix depends on its shape alone, so it is public, and the same for all clients and runs.

    Attributes:
        inner: The other map.
        dimension: To so many features.
    """

    inner: FeatureMap
    dimension: int

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"{self.inner.key()}, projected 1 to {self.dimension}"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        transform = self.inner.prepare(shape)
        size = transform(torch.zeros(1, *shape)).shape[1]
        if self.dimension > size:
            raise DataError(f"dimension {self.dimension}: there are {size} features only; choose fewer, or none")
        drawn = numpy_generator(0, "projection", size, self.dimension).standard_normal((size, self.dimension))
        matrix = torch.from_numpy((drawn / math.sqrt(size)).astype(np.float32))
        return lambda images: transform(images) @ matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class Centred:
    """Another map's features less their mean over public images, in units of 1.5 times their usual length around it.

    Noise that hides a row is made for rows of length 1, most of which would be the part that all images share. The
    public images are the phantom's synthetic radiographs, so no client's image is used.

    Attributes:
        inner: The other map.
    """

    inner: FeatureMap

    def key(self) -> str:
        """See `FeatureMap.key`."""
        return f"{self.inner.key()}, centred 1"

    def prepare(self, shape: ImageShape) -> Transform:
        """See `FeatureMap.prepare`."""
        transform = self.inner.prepare(shape)
        size = max(shape[1:])
        public = Phantom(hospitals=5, images_per_hospital=10, size=size).load().images[:, :, : shape[1], : shape[2]]
        rows = transform(normalise(torch.from_numpy(public.repeat(shape[0], axis=1))))
        centre = rows.mean(dim=0)
        unit = 1.5 * torch.linalg.vector_norm(rows - centre, dim=1).median()
        return lambda images: (transform(images) - centre) / unit


def _content(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path}: there is no such weights file")
    return sha256_of(path)


def _frozen(network: nn.Module) -> Transform:
    def transform(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            features: torch.Tensor = network(images)
        return features.float().flatten(1)

    return transform
