# SPDX-License-Identifier: MIT
"""The app's modes, on nodes that are called in this process: bytes, resume, refusals, and who was sent what."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message

from fedlethe.audit import Evidence, audit
from fedlethe.document import read_toml
from fedlethe.erasing.erase import erase
from fedlethe.erasing.examination import Examination
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.federation.train import train
from fedlethe.flower.nodes.local import LocalGrid, LocalNode
from fedlethe.flower.nodes.messages import DESCRIBE, EVALUATE, STATISTICS, TRAIN, WHO, Computing, NodeRequest
from fedlethe.history.entries import Participation
from fedlethe.history.sent_statistics import statistics_of
from fedlethe.learners.training import train_run
from fedlethe.models import initialise
from fedlethe.pages.report import report
from fedlethe.runs.cached_images import clear_cache
from fedlethe.runs.inspection import history_overview
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import config_for, opened_folder
from fedlethe.seeding import derive
from fedlethe.vector import to_vector
from tests.flower.apps import HOSPITALS, App, app_in


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> App:
    """Trained for two rounds, one hospital erased."""
    app = app_in(tmp_path_factory.mktemp("app"))
    app.call()
    app.call(mode="erase", erase="hospital-1")
    return app


@pytest.fixture
def app(tmp_path: Path) -> App:
    return app_in(tmp_path)


def final(run: Path, rounds: int = 2) -> bytes:
    return (run / f"global_checkpoints/round_{rounds:04d}.safetensors").read_bytes()


def erased(run: Path, id: str = "0001") -> bytes:
    return (run / f"erasures/{id}/model.safetensors").read_bytes()


def participation(run: Path, round: int) -> list[Participation]:
    with opened_folder(run) as (_, history):
        return history.ledger.participation(round)


def nodes(run: Path, place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / place).read_text())
    return found


@pytest.fixture(scope="module")
def in_process(finished: App) -> Path:
    """The same configuration without Flower: trained, the hospital erased, retrained without it."""
    out = finished.folder / "in process"
    document = read_toml(finished.config)
    train_run(config_for(document), out)
    with opened_run(out) as run:
        for method in ("recommended", "retrain"):
            erase(run, order_erasure(run, ["hospital-1"], ErasurePlan(method=method)))
    return out


def test_training_and_erasing_give_the_bytes_that_one_process_gives(finished: App, in_process: Path) -> None:
    assert final(finished.run) == final(in_process)
    assert erased(finished.run) == erased(in_process) != final(in_process)


def test_evaluations_agree_with_those_of_one_process(finished: App, in_process: Path) -> None:
    for run, other in zip(*(stages(run) for run in (finished.run, in_process)), strict=True):
        for client in ("hospital-0", "hospital-2"):
            assert run["evaluation"]["clients"][client] == pytest.approx(other["evaluation"]["clients"][client])
        assert set(run["evaluation"]["clients"]) == {"hospital-0", "hospital-2"}  # hospital-1 is not even asked
        right = [round(one["accuracy"] * one["num_examples"]) for one in run["evaluation"]["clients"].values()]
        assert run["evaluation"]["overall"]["accuracy"] == pytest.approx(sum(right) / 16)


def stages(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "erasures/0001/erasure.json").read_text())["stages"]
    return found


def test_the_erased_hospital_gets_no_message_and_that_is_on_record(finished: App) -> None:
    record = nodes(finished.run, "erasures/0001/nodes.json")
    assert record["forgotten"] == ["hospital-1"]
    assert record["messages"]["hospital-1"] == {}
    assert record["messages"]["hospital-0"] == {EVALUATE: 3, TRAIN: 1}  # before, unlearned, repaired; one repair round
    assert record["questions_of_identity"]["hospital-1"] == 1  # a simulation's nodes are new each time
    assert record["identities"]["hospital-1"] == {"kind": "partition-id", "key": None}
    with opened_folder(finished.run) as (_, history):
        named = history.ledger.artefacts()
        assert named["erasures/0001/nodes.json"].kind == "erasure"
        assert named["nodes/0001.json"].kind == "nodes"
        history.verify()


def test_retraining_is_a_mode(finished: App, in_process: Path) -> None:
    finished.call(mode="retrain", erase="hospital-1")
    assert erased(finished.run, "0002") == erased(in_process, "0002")
    assert nodes(finished.run, "erasures/0002/nodes.json")["messages"]["hospital-0"][TRAIN] == 2


def test_a_method_that_needs_the_forgotten_hospital_asks_it_and_says_so(finished: App) -> None:
    finished.call(mode="erase", erase="hospital-2", method="pga", options="epochs=1 repair.rounds=0")
    messages = nodes(finished.run, "erasures/0003/nodes.json")["messages"]
    assert messages["hospital-2"].get(TRAIN, 0) >= 1
    assert TRAIN not in messages["hospital-0"]
    assert EVALUATE not in messages["hospital-2"]


def test_a_server_that_died_in_a_round_goes_on_with_it(finished: App, app: App) -> None:
    def dies(message: Message, reply: Message) -> Message:
        if message.metadata.group_id == "round 2" and reply.metadata.src_node_id == 103:
            raise KeyboardInterrupt  # not an Exception, so the grid does not take it for the node's answer
        return reply

    with pytest.raises(KeyboardInterrupt):
        app.call(app.grid(dies))
    assert not (app.run / "global_checkpoints/round_0002.safetensors").exists()
    asked: list[str] = []

    def seen(message: Message, reply: Message) -> Message:
        asked.append(message.metadata.group_id)
        return reply

    app.call(app.grid(seen))
    assert set(asked) == {"", "round 2", "evaluation"}  # who are you; not round 1 again
    assert final(app.run) == final(finished.run)


def test_a_round_goes_on_without_an_absent_hospital_and_records_it(app: App) -> None:
    def leaves(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == DESCRIBE and message.metadata.dst_node_id == 103:
            grid.offline = {103}
        return reply

    keys = [LocalNode({}, name=name, public_key=name.encode()) for name in HOSPITALS]
    app = App(app.folder, keys)
    grid = app.grid(leaves)
    app.call(grid)
    for round in (1, 2):
        rows = {row.client: row for row in participation(app.run, round)}
        assert rows["hospital-2"].refused == "its node is not connected"
        assert rows["hospital-0"].weight == rows["hospital-1"].weight == 0.5
    record = nodes(app.run, "nodes/0001.json")
    assert [one["client"] for one in record["absences"]] == ["hospital-2"] * 4  # two rounds, two evaluations


def test_who_is_away_when_a_run_begins_is_none_of_its_clients(app: App) -> None:
    grid = app.grid()
    grid.offline = {101}
    app.call(grid, set="federation.rounds=1", clients=2)
    with opened_folder(app.run) as (_, history):
        assert history.clients == ("hospital-0", "hospital-1")


def test_too_few_answers_stop_the_run_at_a_whole_round(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.call(set="federation.rounds=1")
    grid = app.grid()
    grid.offline = {101, 102}
    line = app.refused(caplog, grid, timeout=0.5)
    assert "holds another run: its federation.rounds is 1, not 2" in line
    line = app.refused(caplog, grid, timeout=0.5, mode="erase", erase="hospital-1")
    assert "hospital-2: its node is not connected" in line
    assert not (app.run / "erasures").exists()


def test_an_erasure_does_not_go_on_without_a_retained_hospital(finished: App, caplog: pytest.LogCaptureFixture) -> None:
    def fails(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == TRAIN and reply.metadata.src_node_id == 102:
            raise RuntimeError("out of memory")
        return reply

    before = sorted(finished.run.rglob("*"))
    line = finished.refused(caplog, finished.grid(fails), mode="erase", erase="hospital-1", options="scale=0.5")
    assert line.startswith("fedlethe: hospital-0: answered with an error: RuntimeError: out of memory;")
    assert sorted(finished.run.rglob("*")) == before


def poisoned(values: dict[str, Any]) -> Any:
    """What hospital-0 answers: `model`, `client` or `metrics` in place of its own."""

    def tamper(message: Message, reply: Message) -> Message:
        if message.metadata.message_type != TRAIN or reply.metadata.src_node_id != 102:
            return reply
        if "model" in values:
            reply.content["update"] = ArrayRecord({"model": Array(values["model"])})
        if "client" in values:
            said = dict(reply.content.config_records["reply"])
            reply.content["reply"] = ConfigRecord({**said, "client": values["client"]})
        for name in values.get("missing", ()):
            del reply.content[name]
        return reply

    return tamper


def broken() -> Iterator[Any]:
    size = 74_978
    yield pytest.param({"model": torch.full((size,), torch.nan).numpy()}, "NaN or infinite", id="NaN")
    yield pytest.param({"model": torch.zeros(7).numpy()}, "has shape (7,)", id="shape")
    yield pytest.param({"model": torch.zeros(size).double().numpy()}, "torch.float64", id="type")
    yield pytest.param({"client": "hospital-2"}, "it says that it is hospital-2", id="lie")
    yield pytest.param({"missing": ["update"]}, "holds no update", id="nothing")
    yield pytest.param({"missing": ["reply"]}, "none of fedlethe's", id="stranger")


@pytest.mark.parametrize(("values", "reason"), list(broken()))
def test_an_update_that_cannot_be_used_is_refused_and_the_round_goes_on(
    values: dict[str, Any], reason: str, app: App
) -> None:
    app.call(app.grid(poisoned(values)), set="federation.rounds=1")
    rows = {row.client: row for row in participation(app.run, 1)}
    assert reason in str(rows["hospital-0"].refused)
    assert rows["hospital-0"].weight is None
    assert rows["hospital-1"].weight == rows["hospital-2"].weight == 0.5
    assert not (app.run / "client_deltas/hospital-0").exists()
    assert (app.run / "client_deltas/hospital-1").exists()


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


def test_what_a_user_can_put_right_is_said_in_one_line(
    finished: App, app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"mode": "evict"}, "no mode 'evict'"),
        ({"run": "run"}, "must be an absolute path"),
        ({"mode": "erase"}, "erase names nobody"),
        ({"mode": "erase", "erase": "hospital-1", "key": "/srv/erasure.key"}, "belong to a request"),
        ({"mode": "erase", "erase": "hospital-1", "request": "R0001"}, "leave erase away"),
        ({"mode": "erase", "request": "R0009"}, "there is no request 'R0009'"),
        ({"mode": "erase", "erase": "hospital-9"}, "client 'hospital-9' is not in this federation"),
        ({"mode": "erase", "erase": "hospital-1", "method": "magic"}, "no method 'magic'"),
        ({"mode": "erase", "erase": "hospital-1", "options": "depth=3"}, "no option 'depth'"),
        ({"mode": "erase", "erase": "hospital-1", "options": "masks.sigma=3"}, "'masks.sigma'"),
        ({"mode": "erase", "erase": "hospital-1", "after": "0099"}, "there is no erasure '0099'"),
        ({"mode": "erase", "erase": "hospital-1"}, "erased already in this way"),
        ({}, "is trained already (2 rounds)"),
        ({"on-absence": "shrug"}, "on_absence"),
        ({"clients": 4, "timeout": 0.2, "run": str(tmp_path / "new")}, "3 of 4 clients are connected"),
    ]
    for options, message in cases:
        assert message in finished.refused(caplog, **options), options


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


def test_commands_without_nodes_do_what_they_can_and_say_where_the_images_are(finished: App) -> None:
    overview = history_overview(finished.run, check=True, rebuild=None, out=None)
    assert overview.check is not None
    assert overview.check.rounds_rebuilt == 2
    with opened_run(finished.run) as run:
        page = report(run).page.read_text()
        with pytest.raises(FedletheError, match="lie on Flower nodes"):
            run.evaluate(run.history.final())
    assert "stay on the nodes" in page
    assert re.search(r"hospital-1</t[dh]>", page)


def test_a_grid_has_the_interface_that_strategies_use(app: App) -> None:
    grid: LocalGrid = app.grid()
    assert list(grid.get_node_ids()) == [101, 102, 103]
    grid.set_run("run")
    assert grid.run == "run"


# The closed-form federation


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[App, Path]:
    """Trained in closed form and one hospital erased, on nodes and in one process."""
    app = app_in(tmp_path_factory.mktemp("closed"))
    app.call(mode="closed-form")
    app.call(mode="erase", erase="hospital-1")
    document = {"learner": "closed-form", "data": read_toml(app.config)["data"]}
    out = app.folder / "in process"
    train_run(config_for(document), out)
    with opened_run(out) as run:
        erase(run, order_erasure(run, ["hospital-1"], ErasurePlan()))
    return app, out


def sent(run: Path, client: str) -> bytes:
    """The statistics of a client, out of their seal."""
    with opened_folder(run) as (_, history):
        return statistics_of(history, client).content()


def test_the_closed_form_federation_gives_the_bytes_of_one_process(closed: tuple[App, Path]) -> None:
    app, in_process = closed
    for name in (
        "global_checkpoints/round_0001.safetensors",
        "erasures/0001/model.safetensors",
    ):
        assert (app.run / name).read_bytes() == (in_process / name).read_bytes()
    for client in HOSPITALS:
        assert sent(app.run, client) == sent(in_process, client)
    for name in ("statistics/features.json", "statistics/chosen.json"):
        assert (app.run / name).read_bytes() == (in_process / name).read_bytes()
    erasure = json.loads((app.run / "erasures/0001/erasure.json").read_text())
    assert erasure["guarantee"]["kind"] == "exact"
    record = nodes(app.run, "erasures/0001/nodes.json")
    assert record["messages"]["hospital-1"] == {}
    assert record["messages"]["hospital-0"] == {EVALUATE: 2}  # nobody sends anything but how the models do
    assert nodes(app.run, "nodes/0001.json")["messages"]["hospital-1"] == {EVALUATE: 1, STATISTICS: 1}


def test_statistics_that_no_images_can_have_are_refused(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def tamper(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == STATISTICS and reply.metadata.src_node_id == 102:
            record = reply.content.array_records["statistics"]
            record["gram"] = Array(-record["gram"].numpy())
        return reply

    line = app.refused(caplog, app.grid(tamper), mode="closed-form")
    assert "hospital-0: the second moments are not positive semi-definite" in line
    app.call(mode="closed-form")  # nothing of it was recorded, so the run begins where it was


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


def test_in_the_closed_form_nobody_may_be_missing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def fails(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == STATISTICS and reply.metadata.src_node_id == 103:
            raise RuntimeError("no memory")
        return reply

    line = app.refused(caplog, app.grid(fails), mode="closed-form")
    assert line.startswith("fedlethe: hospital-1: answered with an error: RuntimeError: no memory; see to it")


# Audits


def test_an_audit_asks_the_retained_hospitals_alone(app: App) -> None:
    app.call(set="federation.rounds=1")
    app.call(mode="erase", erase="hospital-1")
    grid = app.grid()
    asked: set[int] = set()

    def seen(message: Message, context: Context) -> Message:
        if message.metadata.message_type != WHO:
            asked.add(message.metadata.dst_node_id)
        return inner(message, context)

    inner, grid.app = grid.app, seen
    app.call(grid, mode="audit", erasure="0001", references=3)
    assert asked == {101, 102}  # hospitals 2 and 0
    found = json.loads((app.run / "erasures/0001/audit.json").read_text())
    words = {one["audit"]: one["verdict"] for one in found["findings"]}
    assert words["utility"] in ("useful", "not useful", "cannot be shown")
    assert words["membership"] == words["relearn"] == "cannot be shown"
    assert found["asked"] == ["hospital-0", "hospital-2"]
    with opened_folder(app.run) as (_, history):
        assert history.ledger.artefacts()["erasures/0001/audit.json"].kind == "erasure"


def test_a_hospital_that_wants_to_see_for_itself_is_asked_and_answers_as_in_one_process(
    finished: App, in_process: Path
) -> None:
    finished.call(mode="audit", erasure="0001", references=3, ask_erased=True)
    found = json.loads((finished.run / "erasures/0001/audit.json").read_text())
    assert found["asked"] == list(HOSPITALS)
    with opened_run(in_process) as run:
        examination = Examination.of(run, ["hospital-1"])
        models = [run.history.erased_model("0001"), run.history.final()]
        for seed in (derive(0, "reference", number) % 2**31 for number in range(3)):
            model = to_vector(initialise(run.config.model, 1, 2, seed), run.layout)
            retained = run.federation(seed).without(["hospital-1"])
            for record in train(retained, model, [(round, retained.clients) for round in (1, 2)]):
                model = record.after
            models.append(model)
        candidate, untouched, *references = (examination.ask(run, vector, relearn=True) for vector in models)
        findings = audit(Evidence(examination.task, [candidate], [untouched], references))
    assert [(one["audit"], one["verdict"], one["statement"]) for one in found["findings"]] == [
        (finding.audit, finding.verdict, finding.statement) for finding in findings
    ]


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


# A disk that is full


@pytest.mark.parametrize("writes", [0, 3, 7, 11, 17])
def test_a_full_disk_loses_nothing_and_leaves_nothing_half_written(
    writes: int, finished: App, app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count = 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > writes:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        line = app.refused(caplog)
    assert "cannot be written (No space left on device); make room" in line
    if (app.run / "ledger.db").is_file():
        with opened_folder(app.run) as (_, history):
            history.verify()
    app.call()
    assert final(app.run) == final(finished.run)
    assert not list(app.run.rglob("*.part"))
    overview = history_overview(app.run, check=True, rebuild=None, out=None)
    assert overview.check is not None
    assert overview.check.rounds_rebuilt == 2
