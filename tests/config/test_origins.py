# SPDX-License-Identifier: MIT
"""Weights that others trained before are named, with the caution that no erasure here reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from torch import nn

from fedlethe.config import resolve
from fedlethe.config.origins import ANEW, CAUTION, began_from
from fedlethe.models.given import GivenModel
from fedlethe.models.resnet import ResNet18


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"model": {"name": "resnet18"}},
        {"model": {"name": "efficientnet-lite0", "pretrained": False}},
        {"learner": "closed-form"},
    ],
)
def test_what_is_drawn_or_fixed_began_from_nothing(document: dict[str, Any]) -> None:
    assert began_from(resolve(document)) == ANEW


@pytest.mark.parametrize(
    "document",
    [
        {"model": {"name": "efficientnet-lite0"}},
        {"learner": "closed-form", "features": {"name": "efficientnet-lite0"}},
        {"learner": "closed-form", "features": {"name": "scattering+efficientnet-lite0"}},
    ],
)
def test_imagenets_weights_are_named_with_the_caution(document: dict[str, Any]) -> None:
    said = began_from(resolve(document))
    assert said.startswith("efficientnet-lite0 with weights that were trained on ImageNet (ILSVRC 2012)")
    assert said.endswith(CAUTION)


def test_a_file_of_weights_is_named_without_its_folder(tmp_path: Path) -> None:
    weights = tmp_path / "secret-place.safetensors"
    safetensors.torch.save_file(ResNet18().build(1, 2).state_dict(), weights)
    documents = (
        {"model": {"name": "resnet18", "weights": str(weights)}},
        {"learner": "closed-form", "features": {"name": "backbone", "weights": str(weights)}},
    )
    for document in documents:
        said = began_from(resolve(document))
        assert said.startswith("the file of weights secret-place.safetensors, of which it is not known here")
        assert str(tmp_path) not in said


def test_code_and_networks_of_others_may_bring_weights() -> None:
    config = resolve({"model": {"name": "torch.nn:Identity"}})
    assert began_from(config).startswith("model 'torch.nn:Identity', which may bring weights")
    import dataclasses

    given = dataclasses.replace(config, model=GivenModel.of(nn.Linear(6, 2), None))
    assert began_from(given).startswith("the weights of the network that a Python program handed over")
