# SPDX-License-Identifier: MIT
"""Who a node of an app of one's own is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import (
    FedAvg,
)

from fedlethe.flower import LocalGrid, LocalNode, Recording
from fedlethe.flower.nodes.recorded_folder import Recorded
from fedlethe.flower.nodes.roster import Roster
from fedlethe.flower.wrap.client_name import named
from tests.flower.wrap.halfway import initial


def test_a_node_that_cannot_say_who_it_is_goes_by_its_id(tmp_path: Path) -> None:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        content = RecordDict(
            {"arrays": message.content.array_records["arrays"], "metrics": MetricRecord({"num-examples": 1})}
        )
        return Message(content, reply_to=message)

    nodes = LocalGrid(app, [LocalNode({}), LocalNode({}, name="hospital-7")], {})
    strategy = FedAvg(fraction_evaluate=0.0)
    Recording(strategy, run=tmp_path / "run").start(nodes, initial(), num_rounds=1)
    with Recorded.of(tmp_path / "run").opened() as history:
        assert history.clients == ("hospital-7", "node-101")
    record = json.loads((tmp_path / "run/nodes/0001.json").read_text())
    assert record["identities"]["hospital-7"]["kind"] == "registered key"


@pytest.mark.parametrize(
    ("config", "client", "kind"),
    [
        ({"client-uid": "north"}, "north", "client-uid"),
        ({"partition-id": 3}, "partition-3", "partition-id"),
        ({"client-uid": "north", "partition-id": 3}, "north", "client-uid"),
    ],
)
def test_a_node_says_what_its_configuration_says(config: dict[str, str | int], client: str, kind: str) -> None:
    roster = Roster(LocalGrid(named(ClientApp()), [LocalNode({**config})], {}))
    roster.refresh()
    roster.refresh()
    (identity,) = roster.nodes.values()
    assert (identity.client, identity.kind) == (client, kind)


def test_a_node_without_a_name_says_what_to_set() -> None:
    roster = Roster(LocalGrid(named(ClientApp()), [LocalNode({"region": "north"})], {}))
    roster.refresh()
    roster.refresh()
    assert not roster.nodes
    assert "set client-uid in its --node-config" in roster.turned_away[101]
