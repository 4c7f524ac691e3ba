# SPDX-License-Identifier: MIT
"""A hospital that was erased stays out of what begins from there, over nodes: by name, by key, by its images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedlethe.data.federated import Examples
from fedlethe.data.prints import prints
from fedlethe.document import read_toml
from fedlethe.flower.nodes.local import LocalNode
from fedlethe.flower.nodes.messages import TRAIN
from fedlethe.history.entries import BEGAN
from fedlethe.runs.run_toml import opened_folder
from tests.flower.app.test_runtimes import tables
from tests.flower.apps import CONFIG, HOSPITALS, App, app_in

GONE = "hospital-1"

OF_NODES = (
    f'{CONFIG.partition("[data]")[0]}[data]\nsource = "nodes"\n[model]{CONFIG.partition("[model]")[2]}'
).replace("rounds = 2", "rounds = 1")


def node(folder: Path, name: str, key: str = "", images: str = "") -> LocalNode:
    """A node with a registered key, and the images of a hospital: its own, unless another one is named."""
    config = {"client-uid": name, "data": str(folder / (images or name) / "node.toml")}
    return LocalNode(config, name=name, public_key=(key or name).encode())


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> App:
    """Trained on three nodes with images of their own; hospital-1 erased by subtraction."""
    folder = tmp_path_factory.mktemp("app")
    tables(folder)
    app = App(app_in(folder, OF_NODES).folder, [node(folder, name) for name in HOSPITALS])
    app.call()
    app.call(mode="erase", erase=GONE, options="repair.rounds=0")
    return app


def on(app: App, nodes: Sequence[LocalNode], run: Path, after: Path | None = None, **options: Any) -> App:
    """A training that begins from an erasure, on these nodes."""
    other = App(app.folder, nodes)
    other.call(run=str(run), after=str((after or app.run) / "erasures/0001"), **options)
    return other


def clients(run: Path) -> list[str]:
    took: list[str] = read_toml(run / "run.toml")["run"]["clients"]
    return took


def began(run: Path) -> dict[str, Any]:
    with opened_folder(run) as (_, history):
        (event,) = history.ledger.events(BEGAN)
        return dict(event.body)


def messages(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "nodes/0001.json").read_text())
    return record


def test_who_was_erased_takes_no_part_and_is_sent_nothing(
    erased: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    other = on(erased, erased.nodes, run)
    assert clients(run) == ["hospital-0", "hospital-2"]
    assert messages(run)["messages"][GONE] == {}
    assert messages(run)["forgotten"] == [GONE]
    (left,) = began(run)["left_out"]
    assert left["client"] == GONE
    said = [one.getMessage() for one in caplog.records if one.name == "flwr"]
    assert said[0].startswith(f"fedlethe: left out: {GONE}: erased by erasure 0001 of {erased.run}")
    # An erasure in that run asks it nothing, either.
    other.call(run=str(run), mode="erase", erase="hospital-0")
    record = json.loads((run / "erasures/0001/nodes.json").read_text())
    assert (record["messages"][GONE], record["forgotten"]) == ({}, ["hospital-0", GONE])


def test_it_comes_back_by_name_alone(erased: App, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refused, run, third = (tmp_path / name for name in ("refused", "run", "third"))
    wrong: dict[str, Any] = {"run": str(refused), "after": str(erased.run / "erasures/0001"), "take-back": "hospital-7"}
    said = App(erased.folder, erased.nodes).refused(caplog, **wrong)
    assert "take_back hospital-7: was not erased in what this run begins from; those erased are hospital-1" in said
    assert not refused.exists()
    on(erased, erased.nodes, run, take_back=GONE)
    assert clients(run) == sorted(HOSPITALS)
    assert messages(run)["messages"][GONE][TRAIN] == 1
    assert (began(run)["take_back"], began(run)["left_out"]) == ([GONE], [])
    # What begins from an erasure in that run takes it for one who is in.
    App(erased.folder, erased.nodes).call(run=str(run), mode="erase", erase="hospital-0", options="repair.rounds=0")
    on(erased, erased.nodes, third, after=run)
    assert clients(third) == [GONE, "hospital-2"]


@pytest.mark.parametrize(
    ("key", "images", "reason"),
    [
        (GONE, "", f"its node's key is that of {GONE}"),
        ("another", GONE, f"about 100 % of its images are those of {GONE}"),
    ],
)
def test_another_name_is_seen_through(erased: App, tmp_path: Path, key: str, images: str, reason: str) -> None:
    """By the node's key, and where that is another one, too, by the fingerprints of its images."""
    folder, run = erased.folder, tmp_path / "run"
    (folder / "hospital-9").mkdir(exist_ok=True)
    nodes = [node(folder, "hospital-0"), node(folder, "hospital-2"), node(folder, "hospital-9", key, images or GONE)]
    on(erased, nodes, run)
    assert clients(run) == ["hospital-0", "hospital-2"]
    (left,) = began(run)["left_out"]
    assert left["client"] == "hospital-9"
    assert reason in left["because"]
    assert TRAIN not in messages(run)["messages"]["hospital-9"]


def test_what_a_node_tells_of_its_images_tells_nothing_without_the_key(erased: App) -> None:
    facts = read_toml(erased.run / "run.toml")["run"]["nodes"]["sketches"]
    assert {client: len(one) for client, one in facts.items()} == dict.fromkeys(HOSPITALS, 40)
    with opened_folder(erased.run) as (_, history):
        key = history.store.keys.images()
    assert key is not None
    with Image.open(next((erased.folder / GONE).glob("*.png"))) as image:
        pixels = np.asarray(image)[None, None]
    one = Examples.unlabelled(pixels)
    assert prints(key.secret, one)[0] in facts[GONE]
    assert prints(bytes(32), one)[0] not in facts[GONE]
    everything = b"".join(
        path.read_bytes() for path in erased.run.rglob("*") if path.is_file() and "keys" not in path.parts
    )
    assert key.secret not in everything
    assert key.secret.hex().encode() not in everything
