# SPDX-License-Identifier: MIT
"""A node's one release: under many names, after the cache is emptied, without noise, and from where it lay before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Message
from PIL import Image

from fedlethe.data.cache import cache_place
from fedlethe.errors import FedletheError
from fedlethe.flower.app.client_app import statistics
from fedlethe.flower.nodes.local import LocalNode
from fedlethe.flower.nodes.messages import EVALUATE, STATISTICS, Computing, NodeRequest
from fedlethe.flower.nodes.site import site
from tests.flower.apps import App

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
    return statistics(here, NodeRequest(client=name, computing=Computing(learner="closed-form"))).content()


def test_a_node_that_is_asked_under_many_names_has_one_release(node: dict[str, object]) -> None:
    first = _sent(NOISY, node, "north")
    for number in range(10):
        with pytest.raises(FedletheError, match="under another name before"):
            _sent(NOISY, node, f"hospital-{number}")
    assert _sent(NOISY, node, "north") == first


def test_a_release_in_the_cache_is_not_passed_over(node: dict[str, object]) -> None:
    cache_place("releases", "0123.release").write_bytes(b"\0" * 40)
    with pytest.raises(FedletheError, match=r"0123\.release: this node's release lies in the cache.*own\.release"):
        _sent(NOISY, node, "north")


def test_after_a_release_nothing_else_is_told_of_its_images(node: dict[str, object], tmp_path: Path) -> None:
    """Else the server tests a model on nearly all of what was trained on, and gets exact counts beside the noise."""
    lines = (tmp_path / "images.csv").read_text().splitlines()
    (tmp_path / "images.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    app = App(tmp_path, [LocalNode({**node, "client-uid": "north"})])  # type: ignore[dict-item]
    plain = 'learner = "closed-form"\n[data]\nsource = "nodes"\n[closed_form]\ndimension = 8\n'
    app.config.write_text(f"{plain}epsilon = 1.0\n")

    def asked(kind: str, **options: str) -> Message:
        computing = Computing(learner=options.pop("learner", "closed-form"))  # type: ignore[arg-type]
        model = {"model": torch.zeros(18)}
        request = NodeRequest(client="north", computing=computing, models=model, options={"split": "test"})
        grid = app.grid(None, **options)
        (number,) = grid.get_node_ids()
        (reply,) = grid.send_and_receive([Message(request.records(), number, kind)])
        return reply

    assert not asked(STATISTICS).has_error()
    assert not asked(EVALUATE).has_error()
    for options in (
        {"set": "partition.test_fraction=0.95"},
        {"set": "partition.max_examples=10"},
        {"learner": "fedavg"},
    ):
        for kind in (EVALUATE, STATISTICS):
            reply = asked(kind, **options)
            assert reply.has_error(), (options, kind)
    assert "with other images, or the same divided otherwise" in str(
        asked(EVALUATE, set="partition.test_fraction=0.95").error.reason
    )
    assert "without noise" in str(asked(EVALUATE, learner="fedavg").error.reason)
    app.config.write_text(plain)
    assert "without noise" in str(asked(STATISTICS).error.reason)
