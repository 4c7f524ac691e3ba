# SPDX-License-Identifier: MIT
"""Erasure requests over nodes: carried out, certified and purged, or left to be signed where the key is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message

from fedlethe.errors import FedletheError
from fedlethe.flower.nodes.local import LocalNode
from fedlethe.flower.nodes.messages import EVALUATE, TRAIN
from fedlethe.history.request_log import ErasureRequest
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, purge_due
from fedlethe.requests.request import listed, open_request
from fedlethe.requests.run_facts import ON_NODES
from fedlethe.requests.signing import new_signing_key, signing_key
from fedlethe.requests.verify import verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.flower.apps import HOSPITALS, App, app_in
from tests.requests.traces import everything, found, kept_of

KEYS = [LocalNode({"audit": True}, name=name, public_key=name.encode()) for name in HOSPITALS]


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Trained for two rounds on nodes with registered keys, a request to erase hospital-1 open; a key to sign with."""
    app = App(app_in(tmp_path).folder, KEYS)
    app.call()
    opened(app, "hospital-1")
    new_signing_key(signer(app))
    return app


def signer(app: App) -> Path:
    return app.folder / "erasure.key"


def opened(app: App, client: str) -> None:
    with opened_run(app.run) as run:
        open_request(run, [client], [], "withdrew its consent", "the tests")


def requests(app: App) -> list[ErasureRequest]:
    return list(listed(app.run).requests)


def certificate(app: App, id: str = "0001", name: str = "certificate") -> dict[str, Any]:
    path = app.run / f"erasures/{id}/{name}.json"
    statement = json.loads(signing.unchecked(path.read_bytes(), path))
    predicate: dict[str, Any] = statement["predicate"]
    return predicate


def holds(app: App, id: str = "0001") -> None:
    """The certificate is of this run and this ledger, and both hold what they should."""
    path, public = app.run / f"erasures/{id}/certificate.json", signer(app).with_suffix(".key.pub")
    assert verify_certificate(path, public, app.run).failed == ()
    assert verify_ledger(app.run).failed == ()


def test_a_request_is_carried_out_certified_and_purged(app: App) -> None:
    plain = App(app.folder, KEYS)
    plain.call(run=str(app.folder / "plain"))
    plain.call(run=str(app.folder / "plain"), mode="erase", erase="hospital-1")
    with opened_folder(app.run) as (_, history):
        traces = kept_of(history, "hospital-1")
        assert found(traces, everything(history))
    app.call(mode="erase", request="R0001", key=str(signer(app)))
    (request,) = requests(app)
    assert (request.state, request.purge, request.erasure) == ("completed", "done", "0001")
    model = "erasures/0001/model.safetensors"
    assert (app.run / model).read_bytes() == (app.folder / "plain" / model).read_bytes()
    holds(app)
    said = certificate(app)
    assert said["run"]["identity"] == ON_NODES
    assert said["nodes"]["identities"]["hospital-1"]["kind"] == "registered key"
    assert said["nodes"]["messages"]["hospital-1"] == {}
    assert said["nodes"]["questions_of_identity"]["hospital-1"] == 0
    missed = [one.partition(":")[0] for one in said["purge"]["not_reached"]]
    assert missed == [
        "Flower's record of its messages (flower-superlink --database)",  # nobody said where it is
        "the node of hospital-1",
        "the nodes of hospital-0, hospital-2",
        "models that were exported or released, files of `history --unseal`, pictures of `fedlethe data --out`, and "
        "what an experiment tracker, a log or a backup took in, and models of other runs on the same data that this "
        "one did not begin from",
        "the caches of the clients' own machines",
    ]
    assert said["nodes"]["messages"]["hospital-0"] == {EVALUATE: 3, TRAIN: 1}
    with opened_folder(app.run) as (_, history):
        assert found(traces, everything(history)) == []
        held = history.ledger.artefacts().values()
        assert {artefact.client for artefact in held} == {None, "hospital-0", "hospital-2"}
    assert [path.name for path in sorted((app.run / "global_checkpoints").iterdir())] == ["round_0000.safetensors"]


def test_the_next_erasure_begins_where_the_purge_left_and_asks_nobody_who_is_gone(app: App) -> None:
    app.call(mode="erase", request="R0001", key=str(signer(app)))
    opened(app, "hospital-2")
    app.call(mode="erase", request="R0002", key=str(signer(app)), method="influence")
    holds(app, "0002")
    messages = certificate(app, "0002")["nodes"]["messages"]
    assert messages["hospital-1"] == messages["hospital-2"] == {}
    assert messages["hospital-0"]


def test_without_a_key_all_is_done_but_what_needs_no_node(app: App) -> None:
    with opened_run(app.run) as run, pytest.raises(FedletheError, match="carry it out there: flwr run APP"):
        carry_out(run, "R0001", None, signing_key(signer(app)))
    assert requests(app)[0].state == "opened"
    app.call(mode="erase", request="R0001", references=3, options="repair.rounds=0")
    assert requests(app)[0].state == "audited"
    assert (app.run / "client_deltas/hospital-1").exists()  # nothing is purged before a certificate is there
    with opened_run(app.run) as run:
        carried = carry_out(run, "R0001", None, signing_key(signer(app)))
    assert carried.request.state == "completed"
    holds(app)
    audit = certificate(app)["audit"]
    assert audit["made"]
    assert audit["asked"] == ["hospital-0", "hospital-2"]
    assert not (app.run / "client_deltas/hospital-1").exists()


def test_traces_that_are_held_are_purged_when_their_date_has_come(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.call(mode="erase", request="R0001", key=str(signer(app)), keep_for=3)
    (request,) = requests(app)
    assert request.purge not in (None, "done")
    assert (app.run / "client_deltas/hospital-1").exists()
    monkeypatch.setattr("fedlethe.history.chain.clock", lambda: "2999-01-01T00:00:00+00:00")
    with opened_run(app.run) as run:
        purge_due(run, signing_key(signer(app)))
    holds(app)
    assert not (app.run / "client_deltas/hospital-1").exists()


def test_a_server_that_died_in_a_request_goes_on_with_it(app: App) -> None:
    def dies(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == TRAIN:
            raise KeyboardInterrupt
        return reply

    with pytest.raises(KeyboardInterrupt):
        app.call(app.grid(dies), mode="erase", request="R0001", options="scale=0.5", key=str(signer(app)))
    assert requests(app)[0].state == "running"
    assert (app.run / "client_deltas/hospital-1").exists()
    app.call(mode="erase", request="R0001", key=str(signer(app)))  # in the way that it was begun
    assert certificate(app)["erasure"]["method"]["scale"] == 0.5
    holds(app)


def test_a_hospital_that_does_not_answer_fails_the_request_and_purges_nothing(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == TRAIN and reply.metadata.src_node_id == 101:
            raise RuntimeError("out of memory")
        return reply

    line = app.refused(caplog, app.grid(fails), mode="erase", request="R0001", key=str(signer(app)))
    assert line.startswith("fedlethe: hospital-0: answered with an error: RuntimeError: out of memory;")
    assert requests(app)[0].state == "failed"
    assert (app.run / "client_deltas/hospital-1").exists()
    app.call(mode="erase", request="R0001", key=str(signer(app)))
    holds(app)


def test_a_patient_is_not_erased_over_nodes(app: App) -> None:
    with opened_run(app.run) as run, pytest.raises(FedletheError, match="as a whole, or not at all"):
        open_request(run, ["hospital-0"], ["P1"], "withdrew", "the tests")
