# SPDX-License-Identifier: MIT
"""Nodes that are called in this process, and answer as nodes of a network do."""

from __future__ import annotations

from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict

from fedlethe.flower.nodes.local import FAILED, LocalGrid, LocalNode


def echo(message: Message, context: Context) -> Message:
    """Says who is asked and how often it was; a node called 'bad' fails."""
    if context.node_config["name"] == "bad":
        raise ValueError("no images")
    asked = context.state.config_records.setdefault("asked", ConfigRecord({"times": 0}))
    times = asked["times"]
    assert isinstance(times, int)
    asked["times"] = times + 1
    said: dict[str, Any] = {"name": context.node_config["name"], "times": times + 1, "mode": context.run_config["mode"]}
    return Message(RecordDict({"reply": ConfigRecord(said)}), reply_to=message)


def request(node: int) -> Message:
    return Message(RecordDict(), dst_node_id=node, message_type="query.x")


def grid() -> LocalGrid:
    nodes = [LocalNode({"name": "a"}), LocalNode({"name": "bad"}), LocalNode({"name": "c"}, node_id=7)]
    return LocalGrid(echo, nodes, {"mode": "train"})


def test_nodes_without_an_id_get_one_and_those_offline_are_not_listed() -> None:
    held = grid()
    assert list(held.get_node_ids()) == [101, 102, 7]
    held.offline.add(102)
    assert list(held.get_node_ids()) == [101, 7]


def test_a_reply_is_fetched_once_by_the_id_of_its_message() -> None:
    held = grid()
    first, second = held.push_messages([request(101), request(7)])
    (reply,) = held.pull_messages([second, "999"])
    assert reply.metadata.reply_to_message_id == second
    assert dict(reply.content.config_records["reply"]) == {"name": "c", "times": 1, "mode": "train"}
    assert list(held.pull_messages([second])) == []
    assert len(list(held.pull_messages([first]))) == 1


def test_a_node_keeps_its_state_from_message_to_message() -> None:
    held = grid()
    for _ in range(2):
        replies = list(held.send_and_receive([request(101), request(7)]))
    held.send_and_receive([request(101)])
    assert [reply.content.config_records["reply"]["times"] for reply in replies] == [2, 2]


def test_a_node_that_raises_answers_with_an_error_and_one_offline_with_nothing() -> None:
    held = grid()
    (reply,) = held.send_and_receive([request(102)])
    assert (reply.error.code, reply.error.reason) == (FAILED, "ValueError: no images")
    held.offline.add(101)
    assert list(held.send_and_receive([request(101)])) == []


def test_the_run_that_strategies_set_is_the_grids() -> None:
    held = grid()
    held.set_run("run")
    assert held.run == "run"
