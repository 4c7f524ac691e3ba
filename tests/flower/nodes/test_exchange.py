# SPDX-License-Identifier: MIT
"""Who is away, who comes back, who is whom: requests and answers on a grid that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid

from fedlethe.errors import FedletheError
from fedlethe.flower.nodes import exchange as module
from fedlethe.flower.nodes.exchange import Exchange, Patience
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.local import LocalGrid
from fedlethe.flower.nodes.messages import WHO
from fedlethe.flower.nodes.roster import Roster

LocalGrid(lambda message, context: message, [], {})  # says which run messages belong to, outside of Flower's processes


@dataclass
class Node:
    """A node as Flower lists it."""

    node_id: int
    name: str = ""
    public_key: bytes = b""
    last_activated_at: str = "2026-01-01"


@dataclass
class Scripted(Grid):
    """A grid whose nodes answer as `answer` says; None is no answer yet.

    Attributes:
        nodes: Who is connected.
        answer: From a message and how often it was pulled to the reply.
        sent: Every message that was pushed.
    """

    nodes: list[Node]
    answer: Callable[[Message, int], Message | None]
    sent: list[Message] = field(default_factory=list)
    pulls: dict[str, int] = field(default_factory=dict)

    def get_nodes(self) -> Iterable[Any]:
        return list(self.nodes)

    def get_node_ids(self) -> Iterable[int]:
        return [node.node_id for node in self.nodes]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            ids.append(f"m{len(self.sent)}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            self.sent.append(message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        replies = []
        for id in message_ids:
            self.pulls[id] = self.pulls.get(id, 0) + 1
            reply = self.answer(self.sent[int(id[1:])], self.pulls[id])
            replies += [] if reply is None else [reply]
        return replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)


def named(*names: str) -> list[Node]:
    return [Node(number, name) for number, name in enumerate(names, 1)]


def fine(message: Message) -> Message:
    return Message(RecordDict({"reply": ConfigRecord({"node": message.metadata.dst_node_id})}), reply_to=message)


def failed(message: Message, code: int, reason: str) -> Message:
    return Message(Error(code, reason), reply_to=message)


def asked(grid: Scripted, patience: Patience, *clients: str) -> tuple[dict[str, Message | str], Exchange]:
    exchange = Exchange(RetainedGrid(grid, (), Roster(grid)), patience)
    contents = {client: RecordDict({"ask": ConfigRecord({"client": client})}) for client in clients}
    return exchange.ask(contents, "query.test", "round 3"), exchange


def test_answers_come_in_the_order_of_the_question() -> None:
    grid = Scripted(named("a", "b", "c"), lambda message, pulls: fine(message) if pulls >= 4 - _node(message) else None)
    answers, exchange = asked(grid, Patience(timeout=5), "a", "b", "c")
    assert list(answers) == ["a", "b", "c"]
    assert [str(type(answer).__name__) for answer in answers.values()] == ["Message"] * 3
    assert exchange.absences == []


def _node(message: Message) -> int:
    return message.metadata.dst_node_id


def test_who_takes_too_long_is_gone_on_without_and_recorded() -> None:
    grid = Scripted(named("a", "b"), lambda message, pulls: fine(message) if _node(message) == 1 else None)
    answers, exchange = asked(grid, Patience(timeout=0.2), "a", "b")
    assert answers["b"] == "did not answer within 0.2 seconds"
    assert [(one.group, one.client) for one in exchange.absences] == [("round 3", "b")]


def test_who_is_not_connected_is_not_waited_for_where_enough_answer() -> None:
    grid = Scripted(named("a", "b"), lambda message, pulls: fine(message))
    answers, _ = asked(grid, Patience(timeout=60, least=2), "a", "b", "z")
    assert answers["z"] == "its node is not connected"


def test_where_too_few_answer_those_away_are_waited_for() -> None:
    def answer(message: Message, pulls: int) -> Message:
        if _node(message) == 1:
            grid.nodes = named("a", "b")
        return fine(message)

    grid = Scripted(named("a"), answer)
    answers, exchange = asked(grid, Patience(timeout=60, least=2), "a", "b")
    assert not any(isinstance(answer, str) for answer in answers.values())
    assert exchange.absences == []


@pytest.mark.parametrize("on_absence", ["wait", "go-on"])
def test_a_node_that_was_started_anew_is_asked_again(on_absence: Any) -> None:
    """Its request was lost with the process that worked on it."""

    def answer(message: Message, pulls: int) -> Message | None:
        if len(grid.sent) == 1:
            grid.nodes = [Node(1, "a", last_activated_at="2026-01-02")]
            return None
        return fine(message) if message is grid.sent[1] else None

    grid = Scripted(named("a"), answer)
    answers, _ = asked(grid, Patience(timeout=10, on_absence=on_absence), "a")
    assert isinstance(answers["a"], Message)
    assert len(grid.sent) == 2


def test_a_node_out_of_reach_is_asked_again_where_everybody_is_waited_for() -> None:
    def answer(message: Message, pulls: int) -> Message:
        return failed(message, 5, "Node Unavailable") if len(grid.sent) < 3 else fine(message)

    grid = Scripted(named("a"), answer)
    answers, _ = asked(grid, Patience(timeout=0.01, on_absence="wait"), "a")
    assert isinstance(answers["a"], Message)
    grid.sent.clear()
    answers, _ = asked(grid, Patience(timeout=10), "a")
    assert answers["a"] == "answered with an error: Node Unavailable"


def test_a_client_that_fails_is_not_asked_again() -> None:
    grid = Scripted(named("a"), lambda message, pulls: failed(message, 2, "ValueError:\n  no images"))
    answers, _ = asked(grid, Patience(timeout=10, on_absence="wait"), "a")
    assert answers["a"] == "answered with an error: ValueError: no images"


@pytest.mark.parametrize("values", [{"timeout": 0}, {"timeout": float("nan")}, {"on_absence": "x"}, {"least": 0}])
def test_patience_has_its_limits(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Patience(**values)


# Who is whom


def saying(names: dict[int, str]) -> Callable[[Message, int], Message]:
    def answer(message: Message, pulls: int) -> Message:
        assert message.metadata.message_type == WHO
        said = ConfigRecord({"client": names[_node(message)], "kind": "client-uid"})
        return Message(RecordDict({"reply": said}), reply_to=message)

    return answer


def settled(roster: Roster) -> dict[int, str]:
    roster.refresh()
    while not roster.settled:
        roster.refresh()
    return {id: identity.client for id, identity in roster.nodes.items()}


def test_a_node_that_restarts_under_a_new_id_takes_the_place_of_its_old_one() -> None:
    grid = Scripted([Node(1, public_key=b"1")], saying({1: "a", 2: "a"}))
    roster = Roster(grid)
    assert settled(roster) == {1: "a"}
    grid.nodes.append(Node(2, public_key=b"2", last_activated_at="2026-01-02"))
    assert settled(roster) == {2: "a"}
    assert settled(roster) == {2: "a"}  # also while Flower lists the old one
    assert roster.node("a") == 2


def test_two_nodes_under_one_name_are_refused() -> None:
    grid = Scripted([Node(1), Node(2)], saying({1: "a", 2: "a"}))
    with pytest.raises(FedletheError, match="a: two nodes are connected under this name"):
        settled(Roster(grid))
    registered = Scripted(named("a"), saying({}))
    roster = Roster(registered)
    assert settled(roster) == {1: "a"}
    registered.nodes.append(Node(2, "a", last_activated_at="2026-01-02"))
    with pytest.raises(FedletheError, match="by registered key"):
        roster.refresh()


@pytest.mark.parametrize("known", [True, False])
def test_two_nodes_whose_names_differ_by_capitals_alone_are_refused(known: bool) -> None:
    """On many a disk they would share a folder; also where the other one was here earlier, and has left."""
    grid = Scripted([Node(1, "A", b"1")], saying({2: "a"}))
    roster = Roster(grid)
    assert settled(roster) == {1: "A"}
    grid.nodes = [Node(2, public_key=b"2")] if known else [*grid.nodes, Node(2, public_key=b"2")]
    with pytest.raises(FedletheError, match="'A' and 'a' differ by capitals alone; register"):
        settled(roster)


def test_a_name_of_more_than_a_hundred_characters_is_turned_away_without_being_repeated() -> None:
    roster = Roster(Scripted([Node(1), Node(2)], saying({1: "a" * 101, 2: "b" * 100})))
    assert settled(roster) == {2: "b" * 100}
    assert "has 101 characters, at most 100" in roster.turned_away[1]
    assert len(roster.turned_away[1]) < 200


@pytest.mark.parametrize("stranger", [1, 9])
def test_a_self_asserted_name_does_not_take_the_place_of_a_registered_one(stranger: int) -> None:
    grid = Scripted([Node(5, "a")], saying({stranger: "a"}))
    roster = Roster(grid)
    assert settled(roster) == {5: "a"}
    grid.nodes.append(Node(stranger, last_activated_at="2026-01-02"))
    assert settled(roster) == {5: "a"}
    assert "another node's registered key" in roster.turned_away[stranger]


@pytest.mark.parametrize("name", ["../etc", "", "a/b", ".hidden", "-x"])
def test_a_name_that_cannot_name_a_folder_is_turned_away(name: str) -> None:
    roster = Roster(Scripted([Node(1)], saying({1: name})))
    assert settled(roster) == {}
    assert "must be letters" in roster.turned_away[1]


def test_a_node_that_cannot_say_who_it_is_is_turned_away_with_its_reason() -> None:
    grid = Scripted([Node(7)], lambda message, pulls: failed(message, 2, "set client-uid"))
    roster = Roster(grid)
    assert settled(roster) == {}
    assert roster.turned_away == {7: "node 7 cannot say who it is: set client-uid"}
    settled(roster)
    assert len(grid.sent) == 1  # and it is not asked over and over
