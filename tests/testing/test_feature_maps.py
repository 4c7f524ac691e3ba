# SPDX-License-Identifier: MIT
"""Every row of FEATURES passes the check, and every mistake is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from fedlethe.closed_form.features import FEATURES
from fedlethe.errors import ConfigError
from fedlethe.models.resnet import ResNet18
from fedlethe.testing import check_feature_map


def _options(name: str, folder: Path) -> dict[str, Any]:
    if name == "backbone":
        safetensors.torch.save_file(ResNet18().build(3, 2).state_dict(), folder / "weights.safetensors")
        return {"weights": folder / "weights.safetensors"}
    if name == "torchscript":
        torch.jit.script(torch.nn.Conv2d(1, 2, 3)).save(str(folder / "network.pt"))  # type: ignore[no-untyped-call]
        return {"weights": folder / "network.pt"}
    return {}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", list(FEATURES))
def test_ours_pass(name: str, tmp_path: Path) -> None:
    check_feature_map(FEATURES[name](**_options(name, tmp_path)), (1, 48, 48))


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The pixels themselves, and what goes wrong with them."""

    wrong: str = ""

    def key(self) -> Any:
        return {"no text": 3, "no key": "", "another key": str(torch.rand(1))}.get(self.wrong, f"pixels {self.wrong}")

    def prepare(self, shape: Any) -> Any:
        def written(images: torch.Tensor) -> torch.Tensor:
            return images.mul_(0.5).flatten(1).clone()

        def centred(images: torch.Tensor) -> torch.Tensor:
            return (images - images.mean(dim=0)).flatten(1)

        def drawn(images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1) + torch.rand(1)

        if self.wrong == "prepare":
            raise RuntimeError("no file")
        broken: dict[str, Any] = {"written": written, "batch": centred, "drawn": drawn, "no function": 3}
        return broken.get(self.wrong, lambda images: images.flatten(1))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("no text", "key gives 3, then 3; return one text"),
        ("no key", "key gives '', then ''; return one text"),
        ("another key", "key gives .*, then .*; return one text"),
        ("prepare", r"fails \(RuntimeError: no file, .*\); correct it, or its options"),
        ("no function", "prepare gives an int; return a function of images"),
        ("drawn", "makes other features of the same images the next time"),
        ("written", "(writes to the images|makes other features)"),
        ("batch", "a row depends on the other images of its batch"),
    ],
)
def test_each_mistake_is_told(wrong: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^feature map '{__name__}:Pixels': {words}") as told:
        check_feature_map(Pixels(wrong=wrong))
    assert "\n" not in str(told.value)


def test_one_from_outside_passes_by_numpys_numbers_too() -> None:
    check_feature_map(Pixels(), (3, 8, 5))
    size: Any = np.int64(8)
    check_feature_map(Pixels(), (1, size, size))


@pytest.mark.parametrize("shape", [(8, 8), 16, (1, 8, 0), (1, 8, True), (1, 8.0, 8), "888", None])
def test_what_is_no_shape_is_told(shape: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^check_feature_map: image_shape {re.escape(str(shape))}: give \(channels"):
        check_feature_map(Pixels(), shape)
