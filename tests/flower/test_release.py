# SPDX-License-Identifier: MIT
"""A node's one release: under many names, after the cache is emptied, without noise, and from where it lay before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.cache import cache_place
from fedlethe.errors import FedletheError
from fedlethe.flower.client import statistics
from fedlethe.flower.messages import Computing, Request
from fedlethe.flower.site import site

NOISY: dict[str, object] = {
    "learner": "closed-form",
    "data": {"source": "nodes"},
    "closed_form": {"epsilon": 1.0, "dimension": 8},
}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The --node-config of a hospital with images of its own, which does not say its name."""
    monkeypatch.setenv("FEDLETHE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    draw, lines = np.random.default_rng(0), ["path,label,split"]
    for i in range(24):
        Image.fromarray(draw.integers(0, 255, (16, 16)).astype(np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'no' if i % 2 else 'yes'},{'test' if i > 19 else 'train'}")
    (tmp_path / "images.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "node.toml").write_text(
        '[data]\nsource = "table"\npath = "images.csv"\nsize = 16\nclient_column = ""\nclasses = ["no", "yes"]\n'
    )
    return {"data": str(tmp_path / "node.toml")}


def _sent(document: dict[str, object], node: dict[str, object], name: str) -> bytes:
    here = site(document, node, name)
    return statistics(here, Request(client=name, computing=Computing(learner="closed-form"))).content()


def test_a_node_that_is_asked_under_many_names_has_one_release(node: dict[str, object]) -> None:
    first = _sent(NOISY, node, "north")
    for number in range(10):
        with pytest.raises(FedletheError, match="under another name before"):
            _sent(NOISY, node, f"hospital-{number}")
    assert _sent(NOISY, node, "north") == first


def test_after_a_release_nothing_is_sent_without_noise(node: dict[str, object]) -> None:
    plain = {**NOISY, "closed_form": {"dimension": 8}}
    _sent(plain, node, "north")  # before the first release nobody was promised noise
    _sent(NOISY, node, "north")
    for name in ("north", "south"):
        with pytest.raises(FedletheError, match="sent statistics with noise before"):
            _sent(plain, node, name)


def test_a_release_in_the_cache_is_not_passed_over(node: dict[str, object]) -> None:
    cache_place("releases", "0123.release").write_bytes(b"\0" * 40)
    with pytest.raises(FedletheError, match=r"0123\.release: this node's release lies in the cache.*own\.release"):
        _sent(NOISY, node, "north")
