# SPDX-License-Identifier: MIT
"""Erasing over nodes: who is sent what, and who must be there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import Message

from fedlethe.flower.app import mode_erase
from fedlethe.flower.app.session import LOG
from fedlethe.flower.nodes.messages import EVALUATE, TRAIN
from fedlethe.runs.run_toml import opened_folder
from tests.cli.output.test_requests import REQUEST
from tests.flower.app.reading import erased, newest, nodes
from tests.flower.apps import App


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
    assert erased(finished.run, newest(finished.run)) == erased(in_process, "0002")
    assert nodes(finished.run, f"erasures/{newest(finished.run)}/nodes.json")["messages"]["hospital-0"][TRAIN] == 2


def test_a_method_that_needs_the_forgotten_hospital_asks_it_and_says_so(finished: App) -> None:
    finished.call(mode="erase", erase="hospital-2", method="pga", options="epochs=1 repair.rounds=0")
    messages = nodes(finished.run, f"erasures/{newest(finished.run)}/nodes.json")["messages"]
    assert messages["hospital-2"].get(TRAIN, 0) >= 1
    assert TRAIN not in messages["hospital-0"]
    assert EVALUATE not in messages["hospital-2"]


def test_an_erasure_does_not_go_on_without_a_retained_hospital(finished: App, caplog: pytest.LogCaptureFixture) -> None:
    def fails(message: Message, reply: Message) -> Message:
        if message.metadata.message_type == TRAIN and reply.metadata.src_node_id == 102:
            raise RuntimeError("out of memory")
        return reply

    before = sorted(finished.run.rglob("*"))
    line = finished.refused(caplog, finished.grid(fails), mode="erase", erase="hospital-1", options="scale=0.5")
    assert line.startswith("fedlethe: hospital-0: answered with an error: RuntimeError: out of memory;")
    assert sorted(finished.run.rglob("*")) == before


def test_what_must_be_known_of_the_model_is_logged_beside_the_verdict(caplog: pytest.LogCaptureFixture) -> None:
    audited = replace(REQUEST, state="completed", verdict="useful", warnings=["it answers class 0"])
    with caplog.at_level("INFO", LOG.name):
        mode_erase._tell(audited, Path("RUN"))
    assert [record.getMessage() for record in caplog.records] == [
        "fedlethe: request R0001: the audits say: useful",
        "fedlethe: request R0001: it answers class 0",
    ]
