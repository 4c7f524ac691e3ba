# SPDX-License-Identifier: MIT
"""A folder that a recording fills: whose it is, and who its nodes were."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fedlethe.errors import FedletheError
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.recorded_folder import PLACE, Recorded, correspondence, known_identities
from fedlethe.flower.nodes.roster import NodeIdentity, Roster
from tests.flower.nodes.scripted import Node, Scripted


def grid() -> RetainedGrid:
    """Three nodes, two of them with registered keys; north is sent two messages."""
    nodes = [Node(1, "north", b"k1"), Node(2, "south", b"k2"), Node(3, "west")]
    retained = RetainedGrid(Scripted(nodes, lambda message, pulls: None), {"south"}, roster=None)
    retained.roster = Roster(retained.grid)
    retained.roster.refresh()
    for _ in range(2):
        retained.push_messages([Message(RecordDict({"x": ConfigRecord()}), dst_node_id=1, message_type="train")])
    return retained


def test_a_recording_is_of_one_strategy_and_keeps_one_thing(tmp_path: Path) -> None:
    made = Recorded.named(tmp_path / "run", "FedAvg", "needed", ("influence",))
    with made.opened(create=True) as history:
        assert (history.rounds, history.clients) == (0, ())
    assert Recorded.of(tmp_path / "run") == made
    for other, message in (
        (Recorded.named(tmp_path / "run", "FedAdam", "needed", ("influence",)), "its strategy is FedAvg, not FedAdam"),
        (Recorded.named(tmp_path / "run", "FedAvg", "everything", ("influence",)), "its keep is needed"),
        (Recorded.named(tmp_path / "run", "FedAvg", "needed", ("rollback",)), r"its methods is \['influence'\]"),
    ):
        with pytest.raises(FedletheError, match=message), other.opened():
            raise AssertionError("was opened")


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(FedletheError, match="a run folder of Flower must be an absolute path"):
        Recorded.named(Path("run"), "FedAvg", "needed", ())
    with pytest.raises(FedletheError, match=f"holds no recording .it has no {PLACE}"):
        Recorded.of(tmp_path)
    with pytest.raises(FedletheError, match="keep"):
        Recorded.named(tmp_path, "FedAvg", "some", ())


def test_a_changed_recording_toml_is_not_believed(tmp_path: Path) -> None:
    made = Recorded.named(tmp_path / "run", "FedAvg", "needed", ("influence",))
    with made.opened(create=True) as history:
        history.ledger.add_artefacts([history.store.artefact("configuration", PLACE)])
    place = tmp_path / "run" / PLACE
    place.write_text(place.read_text().replace("FedAvg", "FedAdam"))
    with pytest.raises(FedletheError, match="its bytes are not those that the ledger names"):
        Recorded.of(tmp_path / "run")


def test_the_record_of_messages_names_everybody_once() -> None:
    record = correspondence(grid(), clients=["east"], forget=["gone"])
    assert record["messages"] == {"east": {}, "gone": {}, "north": {"train": 2}, "south": {}, "west": {}}
    assert record["forgotten"] == ["gone", "south"]
    identities = record["identities"]
    assert isinstance(identities, dict)
    assert {client: one["kind"] for client, one in identities.items()} == dict.fromkeys(
        ("north", "south", "west"), "registered key"
    )
    assert identities["west"]["key"] is None
    assert identities["north"]["key"] != identities["south"]["key"]


def test_nodes_are_known_again_by_their_keys(tmp_path: Path) -> None:
    assert known_identities(tmp_path) == {}
    made, held = Recorded.named(tmp_path / "run", "FedAvg", "needed", ("influence",)), grid()
    with made.opened(create=True) as history:
        for _ in range(2):
            history.ledger.add_artefacts([made.nodes(held, history)])
        assert sorted(history.ledger.artefacts()) == ["nodes/0001.json", "nodes/0002.json"]
    known = known_identities(tmp_path / "run")
    assert {one.client for one in known.values()} == {"north", "south"}  # west has no key to be known by
    assert all(known[one.key or ""] == NodeIdentity(one.client, "registered key", one.key) for one in known.values())
