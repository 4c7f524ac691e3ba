# SPDX-License-Identifier: MIT
"""Feature maps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fedlethe
from fedlethe.closed_form.features import ScatteringFeatures
from fedlethe.closed_form.lite_features import LiteFeatures
from fedlethe.config import resolve
from fedlethe.config.parts import map_of
from fedlethe.errors import ConfigError

NAME = "scattering+efficientnet-lite0"
OPTIONS = {"scattering": {"scales": 4}, "efficientnet-lite0": {"blocks": [2, 4]}}


def test_the_features_of_each_map_stand_one_after_the_other() -> None:
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    parts = (ScatteringFeatures(scales=4), LiteFeatures(blocks=(2, 4)))

    joined = map_of(NAME, OPTIONS).prepare((1, 32, 32))(images)

    assert torch.equal(joined, torch.cat([part.prepare((1, 32, 32))(images) for part in parts], dim=1))


def test_the_key_is_that_of_the_parts_in_their_order() -> None:
    other = map_of("efficientnet-lite0+scattering", OPTIONS)
    assert len({map_of(NAME, OPTIONS).key(), map_of(NAME, {}).key(), other.key()}) == 3


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("scattering+scattering", {}, "names one map twice"),
        ("scattering+", {}, "'' cannot be joined; there is"),
        ("scattering+mylab.maps:Map", {}, "'mylab.maps:Map' cannot be joined; there is"),
        (NAME, {"scales": 3}, "scales"),
        (NAME, {"scattering": 3}, "features.scattering"),
        (NAME, {"scattering": {"scale": 3}}, "scale"),
    ],
)
def test_what_cannot_be_joined_ends_in_one_line(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        map_of(name, options)


def test_a_run_of_joined_maps_is_read_again_as_it_was(tmp_path: Path) -> None:
    document = {
        "learner": "closed-form",
        "data": {"source": "phantom", "size": 32, "hospitals": 3, "images_per_hospital": 20},
        "features": {"name": NAME, **OPTIONS},
        "closed_form": {"dimension": 64},
    }

    run = fedlethe.train(out=tmp_path / "run", config=document)

    assert run.erase("hospital-1").subject == "hospital-1"
    assert fedlethe.open_run(tmp_path / "run").evaluate().evaluation.overall.num_examples
    written = (tmp_path / "run" / "run.toml").read_text()
    assert f'name = "{NAME}"' in written
    assert "scales = 4" in written


def test_a_weights_file_of_a_part_is_known_by_its_bytes(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from fedlethe.config.parts import code_of
    from fedlethe.models.resnet import ResNet18

    weights = tmp_path / "weights.safetensors"
    save_file(ResNet18().build(1, 2).state_dict(), weights)
    tables = {"name": "scattering+backbone", "backbone": {"weights": str(weights)}}
    config = resolve({"learner": "closed-form", "features": tables})

    known = code_of({"feature map": config.learning.features}, [])

    assert [(what, one["path"]) for what, one in known.items()] == [("feature map file backbone.weights", str(weights))]
