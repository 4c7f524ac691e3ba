# SPDX-License-Identifier: MIT
"""A feature map of somebody else's: what it gives is looked at, and it makes the same of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.closed_form.features import FEATURES, OutsideFeatures
from fedlethe.closed_form.featurised import featurise
from fedlethe.data.backdoor import Backdoor
from fedlethe.data.division import divide
from fedlethe.data.given import of_clients
from fedlethe.data.partition import Partition
from fedlethe.errors import ConfigError, DataError
from fedlethe.outside.deferred import Outside


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The pixels themselves, and what goes wrong with them."""

    wrong: str = ""

    def key(self) -> str:
        return f"pixels {self.wrong}"

    def prepare(self, shape: Any) -> Any:
        drawn = float(np.random.default_rng().random())
        broken: dict[str, Any] = {
            "nothing": lambda images: None,
            "array": lambda images: images.flatten(1).numpy(),
            "shape": lambda images: images,
            "fewer": lambda images: images.flatten(1)[1:],
            "infinite": lambda images: images.flatten(1) / 0,
            "raises": lambda images: images["no"],
            "drawn once": lambda images: images.flatten(1) + drawn,
            "of its batch": lambda images: images.flatten(1) - images.flatten(1).mean(dim=0),
            "of its batch, small": lambda images: 1e-6 * (images.flatten(1) - images.flatten(1).mean(dim=0)),
            "range of its batch": lambda images: torch.round(images.flatten(1) / images.abs().max() * 127) / 127,
            "no columns": lambda images: images.flatten(1)[:, :0],
            "half": lambda images: (images.flatten(1).bfloat16() * 3).float(),
            "drawn each time": lambda images: images.flatten(1) + torch.rand(1),
        }
        if self.wrong == "no function":
            return 3
        return broken.get(self.wrong, lambda images: images.flatten(1))


def _map(wrong: str = "") -> OutsideFeatures:
    return OutsideFeatures(outside=Outside(registry=FEATURES, name=f"{__name__}:Sound", options={"wrong": wrong}))


def test_a_sound_one_is_taken() -> None:
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(_map().prepare((1, 4, 4))(images), images.flatten(1))
    assert _map("half").prepare((1, 4, 4))(images).shape == (2, 16)


def test_a_row_is_of_its_image_alone() -> None:
    """int8 takes a range of its batch, by less than what is refused; a patient who leaves would be in others' rows."""
    images = torch.rand(5, 1, 4, 4)
    transform = _map("range of its batch").prepare((1, 4, 4))
    rows = transform(images)
    images[4] *= 100
    assert torch.equal(transform(images)[:4], rows[:4])
    assert torch.equal(transform(images[2:3]), rows[2:3])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("no function", "prepare gives an int; return a function of images"),
        ("no columns", r"gives \(3, 0\) for 3 images; return a float tensor \(3, d\), d at least 1"),
        ("nothing", r"gives NoneType for 3 images; return a float tensor \(3, d\)"),
        ("array", "gives ndarray for 3 images"),
        ("shape", r"gives \(3, 1, 4, 4\) for 3 images"),
        ("fewer", r"gives \(2, 16\) for 3 images"),
        ("infinite", "gives features that are not finite floats"),
        ("raises", r"fails \(.*\); correct it, or its options"),
        ("drawn once", "makes other features of the same images the next time"),
        ("drawn each time", "makes other features of the same images the next time"),
        ("of its batch, small", "a row depends on the other images of its batch"),
        ("of its batch", "a row depends on the other images of its batch; make each of its image alone"),
    ],
)
def test_what_is_wrong_with_it_is_named(wrong: str, words: str) -> None:
    """One that draws by chance would be certified as exact over other features than it was trained on."""
    with pytest.raises(ConfigError, match=f"^feature map '{__name__}:Sound': {words}") as raised:
        _map(wrong).prepare((1, 4, 4))
    assert "\n" not in str(raised.value)


def test_the_key_names_the_options_that_an_authors_key_forgets() -> None:
    keys = {
        OutsideFeatures(
            outside=Outside(registry=FEATURES, name=f"{__name__}:Forgetful", options={"power": power})
        ).key()
        for power in (1.0, 0.1)
    }
    assert len(keys) == 2


def test_a_key_that_is_no_text_is_named() -> None:
    named = OutsideFeatures(outside=Outside(registry=FEATURES, name=f"{__name__}:Forgetful", options={"named": 3}))
    with pytest.raises(ConfigError, match="Forgetful': key gives an int; return a text"):
        named.key()


@dataclass(frozen=True, kw_only=True)
class Forgetful:
    """Its key leaves its option out."""

    power: float = 1.0
    named: Any = "scaled"

    def key(self) -> Any:
        return self.named

    def prepare(self, shape: Any) -> Any:
        return lambda images: images.flatten(1) * self.power


def test_inputs_that_are_no_images_are_refused_in_words() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 2
    data = divide(of_clients({"a": rows, "b": rows}), Partition(scheme="site"), 0)
    with pytest.raises(DataError, match=r"^features: a map takes images \(C, H, W\), .*shape \(6,\)"):
        featurise(data, _map())
    with pytest.raises(DataError, match=r"^backdoor: is drawn into images"):
        Backdoor(client="a").plant(data, 0)
