# SPDX-License-Identifier: MIT
"""What a node answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Message

from fedlethe.audit.relearn import SHORT_TRAININGS
from fedlethe.config import resolve
from fedlethe.document import read_toml
from fedlethe.errors import ConfigError
from fedlethe.flower.app.client_app import answers, app_document, counts
from fedlethe.flower.nodes.local import LocalNode
from fedlethe.flower.nodes.messages import STATISTICS, Computing, Counts, NodeRequest
from fedlethe.flower.nodes.site import site
from fedlethe.models import initialise
from fedlethe.runs.cached_images import clear_cache
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.vector import to_vector
from tests.flower.app.reading import nodes, sent
from tests.flower.apps import HOSPITALS, App


def test_a_registered_key_says_who_a_node_is(app: App, caplog: pytest.LogCaptureFixture) -> None:
    keys = [LocalNode({}, name=name, public_key=name.encode()) for name in HOSPITALS]
    honest = App(app.folder, keys)
    honest.call(set="federation.rounds=1", run=str(app.folder / "honest"))
    record = nodes(app.folder / "honest", "nodes/0001.json")
    assert {one["kind"] for one in record["identities"].values()} == {"registered key"}
    assert set(record["questions_of_identity"].values()) == {0}  # nobody had to be asked
    liar = App(app.folder, [LocalNode({"client-uid": "hospital-2"}, name="hospital-0", public_key=b"0"), *keys[1:]])
    line = liar.refused(caplog, set="federation.rounds=1", run=str(app.folder / "liar"))
    assert "2 of 3 clients can begin; hospital-0: answered with an error" in line
    assert "this node is asked as hospital-0, and its --node-config says hospital-2" in line
    liar.call(set="federation.rounds=1", run=str(app.folder / "liar"), clients=2)  # the honest ones go on without it
    with opened_folder(app.folder / "liar") as (_, history):
        assert history.clients == ("hospital-1", "hospital-2")
    assert "says hospital-2" in str(nodes(app.folder / "liar", "nodes/0001.json")["turned_away"])
    twice = App(app.folder, [*keys, LocalNode({}, name="hospital-0", public_key=b"other")])
    assert "two nodes are connected under this name" in twice.refused(caplog, run=str(app.folder / "twice"))


def test_a_node_that_is_met_again_is_not_asked_again(app: App) -> None:
    uids = [LocalNode({"client-uid": name}, public_key=name.encode()) for name in HOSPITALS]
    again = App(app.folder, uids)
    again.call(set="federation.rounds=1")
    again.call(mode="erase", erase="hospital-1")
    record = nodes(app.run, "erasures/0001/nodes.json")
    assert record["identities"]["hospital-1"]["kind"] == "client-uid"
    assert set(record["questions_of_identity"].values()) == {0}
    assert record["messages"]["hospital-1"] == {}  # so not one message of any kind went there


def test_nodes_that_hold_other_classes_are_refused(app: App, caplog: pytest.LogCaptureFixture) -> None:
    own = app.folder / "own.toml"
    own.write_text('[data]\nsource = "phantom"\nsize = 24\nhospitals = 3\nimages_per_hospital = 40\n')
    odd = App(app.folder, [*app.nodes[:2], LocalNode({"client-uid": "hospital-1", "data": str(own)})])
    assert "hospital-1: its image_shape are ['1', '24', '24']" in odd.refused(caplog)
    own.write_text("[local]\nepochs = 7\n")
    assert "'local' is the federation's to set" in odd.refused(caplog, timeout=0.5)


def test_images_that_changed_since_are_refused(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.call(set="federation.rounds=1")
    line = app.refused(caplog, mode="erase", erase="hospital-1", set="data.images_per_hospital=44")
    assert "hospital-0: its images, or their division, are not those that the run began with" in line


def test_noise_is_drawn_once_and_not_from_a_seed_that_the_server_knows(
    app: App, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_STATE", str(tmp_path / "first"))
    noisy = "closed_form.epsilon=1000.0 closed_form.dimension=8"
    assert "hides nothing" in app.refused(caplog, mode="closed-form", set=f"{noisy} closed_form.noise_seed=1")
    contents = set()
    for name in range(10):
        run = app.folder / f"run-{name}"
        clear_cache(None, (), ())  # a cache may be emptied at any time: what was sent does not lie there
        app.call(mode="closed-form", run=str(run), set=noisy)
        contents.add(sent(run, "hospital-0"))
    assert len(contents) == 1  # the second drawing would halve the noise's variance, the tenth leave a tenth of it
    others = (
        "closed_form.epsilon=999.0 closed_form.dimension=8",
        f"{noisy} closed_form.radius=2.0",
        f"{noisy} data.size=18",
    )
    for number, other in enumerate(others):
        line = app.refused(caplog, mode="closed-form", run=str(app.folder / f"other-{number}"), set=other)
        assert "this node released statistics" in line
    monkeypatch.setenv("FEDLETHE_STATE", str(tmp_path / "second"))
    app.call(mode="closed-form", run=str(app.folder / "elsewhere"), set=noisy)
    assert sent(app.folder / "elsewhere", "hospital-0") not in contents


def test_a_node_takes_no_weights_from_a_request_and_tells_no_counts(app: App) -> None:
    grid = app.grid(set="closed_form.epsilon=1.0 closed_form.dimension=8")
    for weights in ([1e6, 1e6], [1.0, 1.0], [float("nan"), 1.0], [-1.0, 1.0]):
        options = {"class_weights": weights}
        content = NodeRequest(
            client="hospital-0", computing=Computing(learner="closed-form"), options=options
        ).records()
        (reply,) = grid.send_and_receive([Message(content, 102, STATISTICS)])
        assert reply.has_error()
        assert "class_weights are refused" in str(reply.error.reason)
    (reply,) = grid.send_and_receive([Message(content, 102, "query.fedlethe_count")])
    assert reply.has_error()


def test_a_fingerprint_cannot_be_made_from_the_images(closed: tuple[App, Path], tmp_path: Path) -> None:
    app, in_process = closed
    known = read_toml(app.run / "run.toml")["run"]["nodes"]["fingerprints"]
    with opened_run(in_process) as run:
        alone = {
            client: replace(run.images, clients={client: run.images.clients[client]}).fingerprint
            for client in HOSPITALS
        }
    assert all(known[client] != alone[client] for client in HOSPITALS)


def says_its_name(name: str) -> LocalNode:
    """A node that allows audits, unless it is hospital-2's, and says who it is."""
    return LocalNode({"client-uid": name, "audit": name != "hospital-2"})


def is_known_by_its_key(name: str) -> LocalNode:
    """A node that allows audits, unless it is hospital-2's, and says nothing."""
    return LocalNode({"audit": name != "hospital-2"}, name=name, public_key=name.encode())


@pytest.mark.parametrize("node", [says_its_name, is_known_by_its_key])
def test_a_node_gives_no_answers_to_single_images_unless_it_is_allowed(
    app: App, caplog: pytest.LogCaptureFixture, node: Callable[[str], LocalNode]
) -> None:
    nodes = [node(name) for name in HOSPITALS]
    wary = App(app.folder, nodes)
    wary.call(set="federation.rounds=1")
    wary.call(mode="erase", erase="hospital-1", options="repair.rounds=0")
    assert "hospital-2: answered with an error: ConfigError: this node gives no answers to single" in wary.refused(
        caplog, mode="audit", erasure="0001", references=3
    )
    assert "there is no erasure '0009'" in wary.refused(caplog, mode="audit", erasure="0009", references=3)
    assert "an audit takes retrainings" in wary.refused(caplog, mode="audit", erasure="0001")


# Whoever answers, in this process


def test_a_node_has_one_learner_s_tables_and_leaves_the_other_s_out(tmp_path: Path) -> None:
    config = tmp_path / "fedlethe.toml"
    config.write_text(
        '[data]\nsource = "phantom"\n[federation]\nrounds = 2\n[closed_form]\ndimension = 8\n[features]\n'
    )
    averaging = app_document(config, {"set": "federation.rounds=5 data.size=16"}, "fedavg")
    assert averaging["federation"]["rounds"] == 5
    assert averaging["data"] == {"source": "phantom", "size": 16}
    assert not {"closed_form", "features"} & set(averaging)
    exact = app_document(config, {}, "closed-form")
    assert exact["learner"] == "closed-form"
    assert exact["closed_form"] == {"dimension": 8}
    assert "federation" not in exact
    assert app_document(config, {})["learner"] == "fedavg"
    for model, beside, taken in (
        ("", "", True),
        ("", "[closed_form]\n", False),
        ("small-cnn", "", False),
        ("head", "[closed_form]\n", True),
        ("mylab.nets:MyNet", "", True),
    ):
        table = f'[model]\nname = "{model}"\n' if model else ""
        config.write_text(f"[features]\n{beside}{table}")
        assert ("features" in app_document(config, {}, "fedavg")) == taken
        assert "features" in app_document(config, {}, "closed-form")
    config.write_text('[features]\n[closed_form]\n[model]\nname = "mylab.nets:MyNet"\n')
    with pytest.raises(ConfigError, match=r"\[features\] can be of the closed form or of model 'mylab.nets:MyNet'"):
        app_document(config, {}, "fedavg")


def test_counts_of_answers_are_by_class_and_none_of_a_split_without_images(app: App) -> None:
    here = site(app_document(app.config, {}), {"partition-id": 0}, None)
    federation = here.computing(Computing())
    model = to_vector(federation.network, federation.layout)
    client = here.client
    found = counts(here, NodeRequest(client=client, computing=Computing(), options={"split": "test"}), model)
    labels = federation.data.clients[client].test.labels
    assert found.images == tuple(int((labels == number).sum()) for number in range(len(federation.data.classes)))
    assert tuple(map(sum, found.answered)) == found.images  # every answer is finite
    nobody = counts(here, NodeRequest(client=client, computing=Computing(), options={"split": "validation"}), model)
    assert nobody == Counts((0, 0), ((0, 0), (0, 0)))
    broken = torch.full_like(model, torch.nan)
    asked = NodeRequest(client=client, computing=Computing(), options={"split": "test"})
    assert counts(here, asked, broken).answered == ((0, 0), (0, 0))  # an answer that is not finite is none


def test_short_trainings_on_its_images_lower_a_model_s_loss(app: App) -> None:
    document = app_document(app.config, {})
    here = site(document, {"partition-id": 0}, None)
    model = to_vector(initialise(resolve(document).model, 1, 2, 0), here.computing(Computing(), 0).layout)
    options = {"seed": 0, "step": 1, "relearn": True}
    asked = NodeRequest(client=here.client, computing=Computing(), models={"m": model}, options=options)
    losses, again = (answers(here, asked)["m/relearn"].numpy() for _ in range(2))
    assert losses.shape == (SHORT_TRAININGS[0] + 1,)
    assert losses.min() < losses[0]
    np.testing.assert_array_equal(losses, again)  # all nodes draw alike
