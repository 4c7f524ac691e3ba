# SPDX-License-Identifier: MIT
"""Who is away, and who comes back: requests and answers on a grid that does as it is told."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fedlethe.flower.nodes import exchange as module
from fedlethe.flower.nodes.exchange import Exchange, Patience
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.roster import Roster
from tests.flower.nodes.scripted import Node, Scripted, failed, node_of, nodes_named


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)


def fine(message: Message) -> Message:
    return Message(RecordDict({"reply": ConfigRecord({"node": message.metadata.dst_node_id})}), reply_to=message)


def asked(grid: Scripted, patience: Patience, *clients: str) -> tuple[dict[str, Message | str], Exchange]:
    exchange = Exchange(RetainedGrid(grid, (), Roster(grid)), patience)
    contents = {client: RecordDict({"ask": ConfigRecord({"client": client})}) for client in clients}
    return exchange.ask(contents, "query.test", "round 3"), exchange


def test_answers_come_in_the_order_of_the_question() -> None:
    grid = Scripted(
        nodes_named("a", "b", "c"), lambda message, pulls: fine(message) if pulls >= 4 - node_of(message) else None
    )
    answers, exchange = asked(grid, Patience(timeout=5), "a", "b", "c")
    assert list(answers) == ["a", "b", "c"]
    assert [str(type(answer).__name__) for answer in answers.values()] == ["Message"] * 3
    assert exchange.absences == []


def test_who_takes_too_long_is_gone_on_without_and_recorded() -> None:
    grid = Scripted(nodes_named("a", "b"), lambda message, pulls: fine(message) if node_of(message) == 1 else None)
    answers, exchange = asked(grid, Patience(timeout=0.2), "a", "b")
    assert answers["b"] == "did not answer within 0.2 seconds"
    assert [(one.group, one.client) for one in exchange.absences] == [("round 3", "b")]


def test_who_is_not_connected_is_not_waited_for_where_enough_answer() -> None:
    grid = Scripted(nodes_named("a", "b"), lambda message, pulls: fine(message))
    answers, _ = asked(grid, Patience(timeout=60, least=2), "a", "b", "z")
    assert answers["z"] == "its node is not connected"


def test_where_too_few_answer_those_away_are_waited_for() -> None:
    def answer(message: Message, pulls: int) -> Message:
        if node_of(message) == 1:
            grid.nodes = nodes_named("a", "b")
        return fine(message)

    grid = Scripted(nodes_named("a"), answer)
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

    grid = Scripted(nodes_named("a"), answer)
    answers, _ = asked(grid, Patience(timeout=10, on_absence=on_absence), "a")
    assert isinstance(answers["a"], Message)
    assert len(grid.sent) == 2


def test_a_node_out_of_reach_is_asked_again_where_everybody_is_waited_for() -> None:
    def answer(message: Message, pulls: int) -> Message:
        return failed(message, 5, "Node Unavailable") if len(grid.sent) < 3 else fine(message)

    grid = Scripted(nodes_named("a"), answer)
    answers, _ = asked(grid, Patience(timeout=0.01, on_absence="wait"), "a")
    assert isinstance(answers["a"], Message)
    grid.sent.clear()
    answers, _ = asked(grid, Patience(timeout=10), "a")
    assert answers["a"] == "answered with an error: Node Unavailable"


def test_a_client_that_fails_is_not_asked_again() -> None:
    grid = Scripted(nodes_named("a"), lambda message, pulls: failed(message, 2, "ValueError:\n  no images"))
    answers, _ = asked(grid, Patience(timeout=10, on_absence="wait"), "a")
    assert answers["a"] == "answered with an error: ValueError: no images"


@pytest.mark.parametrize("values", [{"timeout": 0}, {"timeout": float("nan")}, {"on_absence": "x"}, {"least": 0}])
def test_patience_has_its_limits(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Patience(**values)
