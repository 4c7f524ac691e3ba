# SPDX-License-Identifier: MIT
"""A Grid without a network: the nodes' ClientApp is called in this process, for tests and runs on one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

SERVER = 1
"""Flower's id for the server's own node."""

FAILED = 2
"""Flower's code for a ClientApp that raised."""


@dataclass(frozen=True)
class LocalNode:
    """A node, as Flower describes one, and what its --node-config says.

    Attributes:
        config: The node's own configuration.
        name: Under which its key is registered; "" where it is not.
        public_key: Its key; empty where it has none.
        node_id: Names it as long as it runs.
        last_activated_at: When it was started.
        state: What the ClientApp keeps on the node.
    """

    config: Mapping[str, str | int | float | bool]
    name: str = ""
    public_key: bytes = b""
    node_id: int = 0
    last_activated_at: str = ""
    state: RecordDict = field(default_factory=RecordDict)


class LocalGrid(Grid):
    """Calls a ClientApp for each message, one after the other.

    Args:
        app: What the nodes run: a ClientApp.
        nodes: The nodes; those without an id get one.
        run_config: The run's configuration, the same on all of them.
    """

    def __init__(
        self,
        app: Callable[[Message, Context], Message],
        nodes: Sequence[LocalNode],
        run_config: Mapping[str, str | int | float | bool],
    ) -> None:
        # Outside of a process that Flower started nobody has said which run a Message belongs to.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SERVER, 1
        numbers = count(101)
        self.app = app
        self.nodes = {node_id: node for node in nodes for node_id in [node.node_id or next(numbers)]}
        self.run_config = dict(run_config)
        self.offline: set[int] = set()
        self._replies: dict[str, Message] = {}
        self._messages = count(1)
        self._run: Any = None

    def get_nodes(self) -> Iterable[Any]:
        """The nodes that are not in `offline`."""
        return [
            LocalNode(node.config, node.name, node.public_key, id, node.last_activated_at, node.state)
            for id, node in self.nodes.items()
            if id not in self.offline
        ]

    def get_node_ids(self) -> Iterable[int]:
        """Their ids."""
        return [node.node_id for node in self.get_nodes()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Have each message answered, and keep the reply until it is fetched."""
        ids = []
        for message in messages:
            id = str(next(self._messages))
            message.metadata.__dict__["_message_id"] = id  # as Flower's own grids do; there is no setter
            if message.metadata.dst_node_id not in self.offline:
                self._replies[id] = self._answer(message)
            ids.append(id)
        return ids

    def _answer(self, message: Message) -> Message:
        id = message.metadata.dst_node_id
        node = self.nodes[id]
        context = Context(
            run_id=1, node_id=id, node_config=dict(node.config), state=node.state, run_config=dict(self.run_config)
        )
        try:
            return self.app(message, context)
        except Exception as error:  # whatever a ClientApp raises is an answer, too
            return Message(Error(FAILED, f"{type(error).__name__}: {error}"), reply_to=message)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fetch replies."""
        return [self._replies.pop(id) for id in message_ids if id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send messages and fetch the replies."""
        return self.pull_messages(self.push_messages(messages))

    def set_run(self, run: Any) -> None:
        """Keep what Flower says of the run."""
        self._run = run

    @property
    def run(self) -> Any:
        """What `set_run` was given."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """See `Message`."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)
