# SPDX-License-Identifier: MIT
"""A Grid on which the forgotten clients are not there: no message can be addressed to them, and all are counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedlethe.errors import ConfigError
from fedlethe.flower.nodes.roster import Roster
from fedlethe.types import ClientId

POLL = 0.5
"""Seconds between two looks for replies."""

INTRODUCTION = 60.0
"""Seconds that nodes have to say who they are."""


class RetainedGrid(Grid):
    """Wraps a Grid; hand it to a strategy's `start` and the forgotten clients' nodes do not exist for it.

    Formal guarantees:
        A message to a node that is not known, or that is a forgotten client's, raises before anything is sent.

    Args:
        grid: Flower's.
        forget: Who is not there; may be empty.
        roster: Which node is which client; by default nodes are asked, and named by their id where they do not answer.
        sent: Where messages are counted, by client and type; shared with grids made from this one.
    """

    def __init__(
        self,
        grid: Grid,
        forget: Collection[ClientId],
        roster: Roster | None = None,
        sent: Counter[tuple[ClientId, str]] | None = None,
    ) -> None:
        self.grid = grid
        self.forget = frozenset(forget)
        self.roster = Roster(grid, strict=False) if roster is None else roster
        self.sent: Counter[tuple[ClientId, str]] = Counter() if sent is None else sent

    def client(self, node: int) -> ClientId | None:
        """The client that a node is; None for a stranger."""
        identity = self.roster.nodes.get(node)
        return None if identity is None else identity.client

    def get_nodes(self) -> Iterable[Any]:
        """The retained clients' nodes that are connected."""
        settle(self.roster)
        there = {id for id, identity in self.roster.nodes.items() if identity.client not in self.forget}
        return [node for node in self.grid.get_nodes() if node.node_id in there]

    def get_node_ids(self) -> Iterable[int]:
        """Their ids."""
        return [node.node_id for node in self.get_nodes()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages to retained clients.

        Raises:
            FedletheError: One is addressed to a forgotten client or to a stranger; none is sent.
        """
        return self.grid.push_messages(self._counted(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fetch the replies that are there."""
        return self.grid.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send messages to retained clients and wait for the replies (see `push_messages`)."""
        return self.grid.send_and_receive(self._counted(messages), timeout=timeout)

    def _counted(self, messages: Iterable[Message]) -> list[Message]:
        # All are looked at before one is counted or sent: a refusal leaves nothing half done.
        due = list(messages)
        for message in due:
            client = self.client(message.metadata.dst_node_id)
            if client is None or client in self.forget:
                who = f"node {message.metadata.dst_node_id}" if client is None else client
                raise ConfigError(f"{who}: is forgotten or not known, so no message goes there; none was sent")
        for message in due:
            self.sent[self.client(message.metadata.dst_node_id) or "", message.metadata.message_type] += 1
        return due

    # What a Grid has besides

    def set_run(self, run: Any) -> None:
        """As the grid that is wrapped."""
        self.grid.set_run(run)

    @property
    def run(self) -> Any:
        """As the grid that is wrapped."""
        return self.grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """As the grid that is wrapped."""
        return self.grid.create_message(content, message_type, dst_node_id, group_id, ttl)


def settle(roster: Roster) -> None:
    """Wait until every connected node has said who it is, or its time for that is over."""
    end = time.monotonic() + INTRODUCTION
    roster.refresh()
    while not roster.settled and time.monotonic() < end:
        time.sleep(POLL / 5)
        roster.refresh()
