# SPDX-License-Identifier: MIT
"""A grid that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid

from fedlethe.flower.nodes.local import LocalGrid

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


def nodes_named(*names: str) -> list[Node]:
    return [Node(number, name) for number, name in enumerate(names, 1)]


def failed(message: Message, code: int, reason: str) -> Message:
    return Message(Error(code, reason), reply_to=message)


def node_of(message: Message) -> int:
    return message.metadata.dst_node_id
