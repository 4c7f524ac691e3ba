# SPDX-License-Identifier: MIT
"""Who is whom: nodes that say so, nodes whose keys are registered, and those that are turned away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fedlethe.errors import FedletheError
from fedlethe.flower.nodes.messages import WHO
from fedlethe.flower.nodes.roster import Roster
from tests.flower.nodes.scripted import Node, Scripted, failed, node_of, nodes_named


def saying(names: dict[int, str]) -> Callable[[Message, int], Message]:
    def answer(message: Message, pulls: int) -> Message:
        assert message.metadata.message_type == WHO
        said = ConfigRecord({"client": names[node_of(message)], "kind": "client-uid"})
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
    registered = Scripted(nodes_named("a"), saying({}))
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
