# SPDX-License-Identifier: MIT
"""What a node holds: its client of the app's images, or images of its own under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fedlethe.document import parse_toml
from fedlethe.errors import FedletheError
from fedlethe.flower.nodes.messages import Computing
from fedlethe.flower.nodes.site import own_name, site
from tests.flower.apps import CONFIG, HOSPITALS

APP = parse_toml(CONFIG.encode(), Path("fedlethe.toml"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A node's own file: 12 images of two classes, the last 4 to test on."""
    draw, lines = np.random.default_rng(0), ["path,label,split"]
    for i in range(12):
        Image.fromarray(draw.integers(0, 255, (16, 16)).astype(np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'normal' if i % 2 else 'opacity'},{'test' if i > 7 else 'train'}")
    (tmp_path / "images.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "node.toml").write_text(
        '[data]\nsource = "table"\npath = "images.csv"\nsize = 16\nclient_column = ""\n'
        'classes = ["normal", "opacity"]\n'
    )
    return tmp_path / "node.toml"


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"client-uid": 7, "partition-id": 1}, ("client-uid", "7")),
        ({"partition-id": 1}, ("partition-id", "1")),
        ({"data": "x"}, None),
    ],
)
def test_a_node_says_who_it_is_by_name_before_number(node: dict[str, Any], said: tuple[str, str] | None) -> None:
    assert own_name(node) == said


def test_a_node_holds_its_own_client_of_the_app_s_images_alone() -> None:
    by_number, by_name = site(APP, {"partition-id": 1}, None), site(APP, {}, "hospital-1")
    assert by_number.client == by_name.client == HOSPITALS[1]
    assert list(by_number.images.clients) == [HOSPITALS[1]]
    assert by_number.simulated == HOSPITALS[1]
    assert by_number.federation.data is by_number.images
    assert by_number.fingerprint == by_name.fingerprint != site(APP, {"partition-id": 0}, None).fingerprint


def test_a_node_with_a_file_of_its_own_holds_all_of_it_under_its_name(own: Path) -> None:
    held = site(APP, {"client-uid": "clinic", "data": str(own)}, None)
    assert held.client == "clinic"
    assert held.simulated is None  # it plays nobody
    assert [len(held.images.clients["clinic"].split(split)) for split in ("train", "validation", "test")] == [8, 0, 4]
    assert held.images.classes == ("normal", "opacity")


@pytest.mark.parametrize(
    ("node", "asked_as", "message"),
    [
        ({}, None, "does not say who it is; set client-uid"),
        ({"partition-id": 3}, None, "partition-id 3: the data have the clients 0 to 2"),
        ({"partition-id": "x"}, None, "partition-id x: the data have"),
        ({"client-uid": "clinic"}, None, "this node's data: client 'clinic' is not in this federation"),
        ({"client-uid": "clinic", "data": "node.toml"}, None, "must be an absolute path on the node"),
    ],
)
def test_a_node_that_holds_nobody_s_images_says_so(node: dict[str, Any], asked_as: str | None, message: str) -> None:
    with pytest.raises(FedletheError, match=message):
        site(APP, node, asked_as)


def test_a_node_cannot_set_what_is_the_federation_s(own: Path) -> None:
    own.write_text(own.read_text() + "[local]\nepochs = 100\n")
    with pytest.raises(FedletheError, match="'local' is the federation's to set; a node sets data and partition"):
        site(APP, {"client-uid": "clinic", "data": str(own)}, None)


def test_all_nodes_compute_as_they_are_asked() -> None:
    held, threads = site(APP, {"partition-id": 0}, None), torch.get_num_threads()
    try:
        made = held.computing(Computing(precision="bfloat16", threads=1), seed=5)
        assert (made.execution.precision, made.seed, torch.get_num_threads()) == ("bfloat16", 5, 1)
        assert held.federation.execution.precision == "float32"
    finally:
        torch.set_num_threads(threads)


def hospitals(scale: int = 1) -> Any:
    """Arrays of two, as a function outside this package gives them."""
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8) * scale
    return {hospital: (images, np.arange(12) % 2) for hospital in ("north", "south")}


def test_a_node_finds_a_model_and_data_from_outside_by_their_names() -> None:
    document: dict[str, Any] = {
        "model": {"name": "tests.testing.test_models:Net"},
        "data": {"source": f"{__name__}:hospitals", "scale": 2},
    }
    here = site(document, {"client-uid": "south"}, None)
    assert (here.client, here.images.image_shape) == ("south", (1, 8, 8))
    assert type(here.federation.network).__name__ == "Net"
    with pytest.raises(FedletheError, match="model 'no_such_lab:Net': there is no module 'no_such_lab'; install"):
        site({**document, "model": {"name": "no_such_lab:Net"}}, {"client-uid": "south"}, None)


def test_a_node_needs_none_of_the_aggregator_s_code() -> None:
    document: dict[str, Any] = {
        "data": {"source": f"{__name__}:hospitals"},
        "aggregator": {"name": "no_such_lab:Robust"},
        "history": {"methods": ["rollback"]},
    }
    assert site(document, {"client-uid": "south"}, None).client == "south"
