# SPDX-License-Identifier: MIT
"""Training over nodes: resume, absence, refusals, and a disk that is full."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message

from fedlethe.document import read_toml
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.flower.nodes.local import LocalNode
from fedlethe.flower.nodes.messages import DESCRIBE, EVALUATE, STATISTICS, TRAIN
from fedlethe.learners.training import train_run
from fedlethe.runs.inspection import history_overview
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import config_for, opened_folder
from tests.flower.app.reading import erased, final, nodes, participation, sent
from tests.flower.apps import CONFIG, HOSPITALS, App, app_in


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


def test_the_server_s_aggregator_gives_the_bytes_of_one_process(tmp_path: Path) -> None:
    app = app_in(tmp_path, CONFIG + '[aggregator]\nname = "median"\n')
    app.call()
    app.call(mode="erase", erase="hospital-1")  # by retraining: the recommended way rests on the mean
    train_run(config_for(read_toml(app.config)), tmp_path / "in process")
    with opened_run(tmp_path / "in process") as run:
        assert erase(run, order_erasure(run, ["hospital-1"], ErasurePlan())).method == "retrain"
    assert final(app.run) == final(tmp_path / "in process")
    assert erased(app.run) == erased(tmp_path / "in process")
