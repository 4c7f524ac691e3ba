# SPDX-License-Identifier: MIT
"""What every feature map owes, checked on a handful of images."""

from __future__ import annotations

import torch

from fedlethe.closed_form.features import FEATURES, FeatureMap, ImageShape, repeatable
from fedlethe.errors import ConfigError
from fedlethe.outside.plugins import guarded, path_of
from fedlethe.seeding import torch_generator
from fedlethe.testing.instances import demand_instance, sizes


def check_feature_map(feature_map: FeatureMap, image_shape: tuple[int, int, int] = (1, 32, 32)) -> None:
    """Check a feature map as FEATURES and `--features` take it.

    Formal guarantees:
        What passes names itself by one text, the same each time; makes one row of finite floats of each image (C, H, W)
        in [-1, 1], whatever images it is asked about together; makes the same rows whenever it is prepared; and writes
        to no image.

    Args:
        feature_map: It, with options.
        image_shape: (C, H, W) of the images.

    Raises:
        ConfigError: It breaks one of these; one line names it and says what to do.

    Example:
        >>> from fedlethe.closed_form.features import FEATURES
        >>> check_feature_map(FEATURES["scattering"]())
    """
    demand_instance("check_feature_map", feature_map, "FEATURES['scattering']()")
    if len(shape := sizes(image_shape)) != 3:
        raise ConfigError(f"check_feature_map: image_shape {image_shape}: give (channels, height, width)")
    name = f"feature map '{path_of(type(feature_map))}'"
    if (problem := FEATURES.problem(type(feature_map))) is not None:
        raise ConfigError(f"{name}: {problem}")
    key, again = (guarded(feature_map.key, name, "return a text") for _ in range(2))
    if not isinstance(key, str) or not key or key != again:
        raise ConfigError(f"{name}: key gives {key!r}, then {again!r}; return one text, made of the options alone")
    of_one: ImageShape = (shape[0], shape[1], shape[2])
    transform = repeatable(lambda: feature_map.prepare(of_one), of_one, name)
    images = torch.rand((4, *shape), generator=torch_generator(0, "check_feature_map")) * 2 - 1
    before = images.clone()
    transform(images)
    if not torch.equal(images, before):
        raise ConfigError(f"{name}: writes to the images that it is given; clone() them")
