# SPDX-License-Identifier: MIT
"""Which node is which client, and how that is known.

A node's id is new whenever it restarts without a registered key, so it names nobody for long. In the order of what
they are worth:

    registered key   the operator registered the node's public key under this name; Flower checks the signature of
                     every request, so nobody else can answer for it
    client-uid       the node says so itself, in its --node-config; whoever can reach the server can say so
    partition-id     the same, as a number: which of the data's clients, in the order of their names
    node id          nothing else is known (an app of one's own, without names): good until the node restarts
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedlethe.entered import demand_texts
from fedlethe.errors import FedletheError, NodeError
from fedlethe.flower.nodes.messages import WHO
from fedlethe.names import demand_apart, demand_client_name
from fedlethe.text import shown
from fedlethe.types import ClientId

IdentityKind: TypeAlias = Literal["registered key", "client-uid", "partition-id", "node id"]

UNHANDLED = "No query function registered"
"""In the error of a ClientApp that does not know fedlethe's question."""


class Node(Protocol):
    """What Flower knows of a node."""

    node_id: int
    name: str
    public_key: bytes
    last_activated_at: str


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who a node is.

    Attributes:
        client: Its client id.
        kind: How that is known.
        key: SHA-256 of the node's public key, in hexadecimal; None where it has none.
    """

    client: ClientId
    kind: IdentityKind
    key: str | None = None


@dataclass
class Roster:
    """The nodes that are connected, each by the client that it is.

    A node whose key is registered under a name, or that was met before, is known without a word; others are asked.

    Attributes:
        grid: Where the nodes are.
        strict: Turn away a node that cannot say who it is, where it would else be named by its node id.
        describe: Have strangers say what images they hold in the same answer.
        image_key: What they make the fingerprints of them with, in hexadecimal (see `data.prints`).
        known: Identities from earlier, by the digest of the node's key.
        nodes: Connected nodes: node id to identity.
        since: Node id to when Flower last saw it start.
        questions: How often each client was asked who it is.
        turned_away: Node id to the reason that it is nobody here.
        descriptions: What strangers said of their images, by client.
    """

    grid: Grid
    strict: bool = True
    describe: bool = False
    image_key: str = ""
    known: dict[str, NodeIdentity] = field(default_factory=dict)
    nodes: dict[int, NodeIdentity] = field(default_factory=dict)
    since: dict[int, str] = field(default_factory=dict)
    questions: Counter[ClientId] = field(default_factory=Counter)
    turned_away: dict[int, str] = field(default_factory=dict)
    descriptions: dict[ClientId, ConfigRecord] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)
    _said: dict[int, NodeIdentity] = field(default_factory=dict)

    def refresh(self) -> None:
        """Look who is connected, take in what strangers said, and ask new ones; it does not wait for answers.

        Raises:
            FedletheError: Two connected nodes are the same client, or two clients differ by capitals alone.
        """
        connected: dict[int, Node] = {node.node_id: node for node in self.grid.get_nodes()}
        self._hear(connected)
        found: dict[int, NodeIdentity] = {}
        for id, node in connected.items():
            key = _digest(node)
            if id in self.turned_away:
                continue
            # In the order of what they are worth (see above): a key that Flower checks before what a node says itself.
            if node.name:
                found[id] = NodeIdentity(checked_name(node.name), "registered key", key)
            elif key is not None and key in self.known:
                found[id] = self.known[key]
            elif id in self._said:
                found[id] = self._said[id]
        self._ask(set(connected) - set(found) - set(self.turned_away) - set(self._asked.values()))
        self.since = {id: node.last_activated_at for id, node in connected.items()}
        self.nodes = self._without_doubles(found)
        demand_apart(self.identities(), "register one of the nodes, or set its client-uid, under another name")
        self.known |= {identity.key: identity for identity in self.nodes.values() if identity.key is not None}

    @property
    def settled(self) -> bool:
        """Whether every question was answered."""
        return not self._asked

    def node(self, client: ClientId) -> int | None:
        """The node that is this client, if it is connected."""
        return next((id for id, identity in self.nodes.items() if identity.client == client), None)

    def identities(self) -> dict[ClientId, NodeIdentity]:
        """Everybody who is or was known, by client id."""
        everybody = [*self.known.values(), *self.nodes.values()]
        return {one.client: one for one in sorted(everybody, key=lambda identity: identity.client)}

    def _ask(self, strangers: set[int]) -> None:
        content = RecordDict({"who": ConfigRecord({"describe": self.describe, "key": self.image_key})})
        messages = [Message(content, dst_node_id=id, message_type=WHO) for id in sorted(strangers)]
        if messages:
            ids = zip(self.grid.push_messages(messages), sorted(strangers), strict=True)
            self._asked |= {message: id for message, id in ids if message}

    def _hear(self, connected: Mapping[int, Node]) -> None:
        # A node that left will not answer; without this nobody would be settled ever after.
        self._asked = {message: id for message, id in self._asked.items() if id in connected}
        if not self._asked:
            return
        for reply in self.grid.pull_messages(list(self._asked)):
            id = self._asked.pop(reply.metadata.reply_to_message_id)
            try:
                self._said[id] = self._introduced(reply, id, _digest(connected[id]))
            except FedletheError as error:
                self.turned_away[id] = str(error)
            else:
                self.questions[self._said[id].client] += 1

    def _introduced(self, reply: Message, id: int, key: str | None) -> NodeIdentity:
        if reply.has_error():
            if self.strict or UNHANDLED not in str(reply.error.reason):
                raise NodeError(f"node {id} cannot say who it is: {one_line(reply.error.reason)}")
            return NodeIdentity(f"node-{id}", "node id", key)
        said = reply.content.config_records["reply"]
        kind: IdentityKind = "partition-id" if said["kind"] == "partition-id" else "client-uid"
        identity = NodeIdentity(checked_name(str(said["client"])), kind, key)
        if "classes" in said:
            demand_texts(list(said["classes"]), f"{identity.client}: its classes")  # type: ignore[arg-type]
            self.descriptions[identity.client] = said
        return identity

    def turn_away(self, client: ClientId, reason: str) -> None:
        """Treat a client's node as nobody from now on."""
        id = self.node(client)
        if id is not None:
            self.turned_away[id] = f"{client}: {reason}"
            del self.nodes[id]

    def _without_doubles(self, found: Mapping[int, NodeIdentity]) -> dict[int, NodeIdentity]:
        """One node for each client."""
        holders: dict[ClientId, list[int]] = {}
        for id, identity in sorted(found.items()):
            holders.setdefault(identity.client, []).append(id)
        return {id: found[id] for id in sorted(self._holder(ids, found) for ids in holders.values())}

    def _holder(self, ids: list[int], found: Mapping[int, NodeIdentity]) -> int:
        """Whose name it is: the registered key's, or else the one that started last.

        Of a node that restarts under a new id the old one is listed a while longer.
        """
        client = found[ids[0]].client
        registered = [id for id in ids if found[id].kind == "registered key"]
        if len(registered) == 1:
            for id in set(ids) - set(registered):
                self.turned_away[id] = f"node {id} says that it is {client}, which is another node's registered key"
            return registered[0]
        if len(ids) > 1 and (registered or not set(ids) & set(self.nodes)):
            raise NodeError(
                f"{client}: two nodes are connected under this name (by {found[ids[0]].kind}); stop one of them or "
                "name it otherwise (one that was restarted is listed a minute longer: try again then)"
            )
        return max(ids, key=lambda id: self.since.get(id, ""))


def checked_name(name: str) -> ClientId:
    """A client id that can name a folder.

    Raises:
        FedletheError: It cannot.
    """
    return demand_client_name(name, "register the node, or set its client-uid, under another")


def one_line(text: str | None) -> str:
    """A text that others wrote, on one line of bounded length."""
    joined = " ".join(shown(text, lines=True).split())
    return joined if len(joined) <= 400 else joined[:400] + " ..."


def _digest(node: Node) -> str | None:
    return hashlib.sha256(node.public_key).hexdigest() if node.public_key else None
