# SPDX-License-Identifier: MIT
"""A grid on which the forgotten are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fedlethe.errors import FedletheError
from fedlethe.flower import RetainedGrid
from fedlethe.flower.nodes.roster import Roster
from tests.flower.nodes.scripted import Node, Scripted
from tests.flower.wrap.halfway import grid


def test_a_message_to_a_forgotten_client_or_a_stranger_is_not_sent(tmp_path: Path) -> None:
    inner = grid()
    retained = RetainedGrid(inner, {"b"})
    assert list(retained.get_node_ids()) == [101, 102]  # c and a
    for node in (103, 999):
        messages = [
            Message(RecordDict({"config": ConfigRecord()}), dst_node_id=id, message_type="train") for id in (101, node)
        ]
        with pytest.raises(FedletheError, match="is forgotten or not known"):
            retained.push_messages(messages)
        with pytest.raises(FedletheError, match="is forgotten or not known"):
            retained.send_and_receive(messages)
    assert not retained.sent
    assert not inner.pull_messages(["1", "2", "3"])  # the first message was not sent either


def test_only_the_retained_are_listed_and_every_message_is_counted() -> None:
    inner = grid()
    retained = RetainedGrid(inner, {"b"})
    assert list(retained.get_node_ids()) == [101, 102]
    assert [retained.client(node) for node in (101, 102, 103, 999)] == ["c", "a", "b", None]
    sent = [
        Message(RecordDict({"config": ConfigRecord()}), dst_node_id=node, message_type="query.x") for node in (101, 102)
    ]
    list(retained.push_messages(sent))
    list(retained.send_and_receive(sent[:1]))
    assert retained.sent == {("c", "query.x"): 2, ("a", "query.x"): 1}
    later = RetainedGrid(inner, {"b", "a"}, retained.roster, retained.sent)
    assert list(later.get_node_ids()) == [101]
    with pytest.raises(FedletheError, match=r"^a: is forgotten or not known"):
        later.send_and_receive(sent)
    assert retained.sent["c", "query.x"] == 2


def test_a_node_that_never_answers_is_waited_for_and_then_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedlethe.flower.nodes.grid.INTRODUCTION", 0.2)
    monkeypatch.setattr("fedlethe.flower.nodes.grid.POLL", 0.05)
    silent = Scripted([Node(1), Node(2, "here")], lambda message, pulls: None)
    assert list(RetainedGrid(silent, (), Roster(silent)).get_node_ids()) == [2]
    late = Scripted([Node(1)], lambda message, pulls: introduced(message) if pulls > 2 else None)
    assert list(RetainedGrid(late, (), Roster(late)).get_node_ids()) == [1]


def introduced(message: Message) -> Message:
    return Message(RecordDict({"reply": ConfigRecord({"client": "a", "kind": "client-uid"})}), reply_to=message)
