# SPDX-License-Identifier: MIT
"""One seed, three runtimes: Flower's simulation, and a SuperLink with three SuperNodes, give the bytes of one process.

The processes run on loopback alone and are stopped by their ids. Both take about a minute on two cores.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from fedlethe.data.phantom import Phantom
from fedlethe.document import read_toml
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.flower.app.new_app import new_app
from fedlethe.learners.training import train_run
from fedlethe.requests import signing
from fedlethe.requests.request import open_request
from fedlethe.requests.signing import new_signing_key
from fedlethe.requests.verify import verify_certificate
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import config_for
from tests.flower.apps import CONFIG, HOSPITALS
from tests.flower.flower_record import slices
from tests.flower.machines import DEPLOY, machines, wait_until

pytestmark = pytest.mark.machines

TRAINED, ERASED = "global_checkpoints/round_0002.safetensors", "erasures/0001/model.safetensors"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, with a tiny federation in it."""
    folder = tmp_path_factory.mktemp("app") / "app"
    new_app(folder)
    (folder / "hospitals/fedlethe.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def models(app: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The trained and the erased model of one process."""
    return in_one_process(app / "hospitals/fedlethe.toml", tmp_path_factory.mktemp("process") / "run")


def in_one_process(config: Path, out: Path) -> tuple[bytes, bytes]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        document = read_toml(config)
        train_run(config_for(document), out)
        with opened_run(out) as run:
            erase(run, order_erasure(run, ["hospital-1"], ErasurePlan()))
    finally:
        torch.set_num_threads(threads)
    return contents(out)


def contents(run: Path) -> tuple[bytes, bytes]:
    return (run / TRAINED).read_bytes(), (run / ERASED).read_bytes()


def tables(folder: Path) -> Path:
    """Each hospital's images as files, its own table and node.toml; and one table of all of them together."""
    phantom = Phantom(hospitals=3, images_per_hospital=40, size=16).load()
    assert phantom.sites is not None
    rows = []
    for number, (image, label, site) in enumerate(zip(phantom.images, phantom.labels, phantom.sites, strict=True)):
        place = folder / str(site) / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(image[0]).save(place)
        rows.append((str(site), place.name, phantom.classes[label]))
    for site in HOSPITALS:
        own = "".join(f"{name},{label}\n" for client, name, label in rows if client == site)
        (folder / site / "images.csv").write_text(f"path,label\n{own}")
        (folder / site / "node.toml").write_text(
            '[data]\nsource = "table"\npath = "images.csv"\nsize = 16\n'
            'classes = ["normal", "opacity"]\nclient_column = ""\n'
        )
    everything = "".join(f"{client}/{name},{label},{client}\n" for client, name, label in rows)
    (folder / "all.csv").write_text(f"path,label,client\n{everything}")
    return folder / "all.csv"


TRAIN = {"mode": "train", "threads": 1, "timeout": 120.0, "evaluate-every": 0}
ERASE = {**TRAIN, "mode": "erase", "erase": "hospital-1"}


def test_a_simulation_gives_the_bytes_of_one_process(app: Path, models: tuple[bytes, bytes], tmp_path: Path) -> None:
    with machines(tmp_path) as held:
        held.superlink("--simulation")
        nodes = ["--num-supernodes", "3", "--client-resources-num-cpus", "1"]
        held.command("flwr", "federation", "simulation-config", "@none/default", "hospitals", *nodes)
        run = tmp_path / "run"
        held.run(app, {**TRAIN, "run": run})
        held.run(app, {**ERASE, "run": run})
    assert contents(run) == models
    record = json.loads((run / "erasures/0001/nodes.json").read_text())
    assert record["messages"]["hospital-1"] == {}
    assert {one["kind"] for one in record["identities"].values()} == {"partition-id"}


def test_supernodes_give_the_bytes_of_one_process_whatever_dies(
    app: Path, models: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Without keys, by the plain commands of docs/flower.md."""
    run = tmp_path / "run"
    waiting = {**TRAIN, "run": run, "on-absence": "wait"}
    with machines(tmp_path) as held:
        held.superlink()
        for name in HOSPITALS:
            held.supernode(name, f'client-uid="{name}"')
        # A node dies in the first round, and is asked again when it is back under another node id.
        held.submit(app, waiting)
        wait_until(lambda: "Receiving: train.fedlethe" in held.said("hospital-2"), "hospital-2 is asked to train")
        held.end("hospital-2", signal.SIGKILL)
        held.supernode("hospital-2", 'client-uid="hospital-2"')
        # The server dies in the second round; the next call goes on with it.
        wait_until(lambda: (run / "global_checkpoints/round_0001.safetensors").exists(), "round 1 is recorded")
        held.kill_server()
        held.run(app, waiting)
        held.run(app, {**ERASE, "run": run})
    assert contents(run) == models
    record = json.loads((run / "erasures/0001/nodes.json").read_text())
    assert record["messages"]["hospital-1"] == {}
    assert set(record["questions_of_identity"].values()) == {0}  # met in training, and not restarted since


def test_hospitals_with_keys_and_images_of_their_own(tmp_path: Path) -> None:
    """TLS, registered keys, a table of images at each hospital: all by the scripts of deploy/; erased by a request."""
    app, run, config, key = (tmp_path / name for name in ("app", "run", "all.toml", "erasure.key"))
    new_signing_key(key)
    new_app(app)
    with_data = CONFIG.partition("[data]")[0] + "[data]\n{}\n[model]" + CONFIG.partition("[model]")[2]
    config.write_text(with_data.format(f'source = "table"\npath = "{tables(tmp_path)}"\nsize = 16\n'))
    expected = in_one_process(config, tmp_path / "process")
    (app / "hospitals/fedlethe.toml").write_text(with_data.format('source = "nodes"'))
    with machines(tmp_path) as held:
        held.secure_superlink()
        for name in (*HOSPITALS, "hospital-3", "stranger"):
            held.command(sys.executable, DEPLOY / "make_keys.py", "node", name)
        held.command(DEPLOY / "register.sh", *HOSPITALS, "hospital-3")
        for name in HOSPITALS:
            held.secure_supernode(name, tmp_path / name / "node.toml")
        liar = f'client-uid="hospital-0" data="{tmp_path / "hospital-0/node.toml"}"'
        held.begin("liar", *held.secure("hospital-3"), "--node-config", liar)
        held.begin("stranger", *held.secure("stranger"), "--node-config", 'client-uid="hospital-4"')
        wait_until(lambda: "Failed to activate SuperNode" in held.said("stranger"), "the stranger is turned away")
        held.end("stranger")
        said = held.run(app, {**TRAIN, "run": run})
        held.end("liar")
        trained = (run / TRAINED).read_bytes()
        assert slices(tmp_path / "state.db", trained) > 50  # Flower's record holds the model that holds hospital-1
        with opened_run(run) as opened:
            request = open_request(opened, ["hospital-1"], [], "withdrew its consent", "the tests").id
        cached = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/cache/images/*.npy")}
        held.run(app, {**TRAIN, "run": run, "mode": "erase", "request": request, "key": key})
        assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/cache/images/*.npy")} == cached
        assert slices(tmp_path / "state.db", trained) == 0  # while the SuperLink is running
    assert (trained, (run / ERASED).read_bytes()) == expected
    certificate = run / "erasures/0001/certificate.json"
    assert verify_certificate(certificate, key.with_suffix(".key.pub"), run).failed == ()
    assert not (run / TRAINED).exists()  # it holds hospital-1
    purge = json.loads(signing.unchecked(certificate.read_bytes(), certificate))["predicate"]["purge"]
    assert [said.partition(":")[0] for said in purge["reached"]] == [str(tmp_path / "state.db")]
    assert not [said for said in purge["not_reached"] if "state.db" in said]
    assert next(said.partition(":")[0] for said in purge["not_reached"]) == "the node of hospital-1"
    assert (tmp_path / "state.db").stat().st_mode & 0o077 == 0
    assert len(cached) == 3  # decoded once at each hospital, and only read by the processes after that
    assert "hospital-3 takes no part: answered with an error" in said
    record = json.loads((run / "erasures/0001/nodes.json").read_text())
    assert {client: one["kind"] for client, one in record["identities"].items()} == dict.fromkeys(
        (*HOSPITALS, "hospital-3"), "registered key"
    )
    assert record["forgotten"] == ["hospital-1"]
    assert record["messages"]["hospital-1"] == {}
    assert set(record["questions_of_identity"].values()) == {0}
