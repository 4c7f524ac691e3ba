# SPDX-License-Identifier: MIT
"""What the nodes answered in a round: which replies can be averaged, and what the strategy made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flwr.app import Array, Message, RecordDict

from fedlethe.errors import ConfigError
from fedlethe.federation.aggregate import refusal
from fedlethe.flower.nodes.messages import no_update
from fedlethe.flower.nodes.roster import one_line
from fedlethe.types import ClientId, Update, Vector

SECURE_AGGREGATION = "secaggplus_configs"
"""The record that the messages of Flower's SecAgg and SecAgg+ hold."""

NO_SECURE_AGGREGATION = (
    "SecAgg+ hides each client's update from the server, so there is nothing to record of a client and nothing to take "
    "back; train without it (TLS and node authentication protect updates on their way), or erase by retraining"
)

Reader: TypeAlias = Callable[[ClientId, RecordDict], Update]
"""From a client and the content of its reply to its update."""


@dataclass(frozen=True, slots=True)
class Replies:
    """The replies of one round, sorted.

    Attributes:
        accepted: Client to its reply, of those that can be averaged, in the order of the clients' names.
        errors: The replies of nodes that failed.
        refused: Client to the reason, of everybody who was asked and is not averaged.
        updates: Client to what it sent, as it came.
        arrays: Client to the arrays in its reply, as they came.
    """

    accepted: Mapping[ClientId, Message]
    errors: Sequence[Message]
    refused: Mapping[ClientId, str]
    updates: Mapping[ClientId, Update]
    arrays: Mapping[ClientId, Sequence[Array]]

    @classmethod
    def of(cls, replies: Iterable[Message], asked: Mapping[str, ClientId], read: Reader, before: Vector) -> Replies:
        """Sort replies.

        Args:
            replies: In any order.
            asked: The id of each request to the client that it went to.
            read: See `Reader`.
            before: The model that the clients were sent, shape (P,).

        Raises:
            FedletheError: A node masks its updates (secure aggregation).
        """
        updates = {client: no_update(client, "did not answer") for client in asked.values()}
        usable: dict[ClientId, Message] = {}
        errors: list[Message] = []
        for reply in replies:
            client = asked[reply.metadata.reply_to_message_id]
            if reply.has_error():
                _refuse_secure_aggregation(reply)
                errors.append(reply)
                updates[client] = no_update(client, f"answered with an error: {one_line(reply.error.reason)}")
            else:
                usable[client] = reply
                updates[client] = read(client, reply.content)
        refused = {client: reason for client, one in updates.items() if (reason := refusal(one, before)) is not None}
        # The strategy adds up in this order, and a sum of floats depends on it: arrival must not show in the model.
        accepted = {client: usable[client] for client in sorted(usable) if client not in refused}
        return cls(
            accepted, errors, refused, updates, {client: _arrays_in(reply) for client, reply in accepted.items()}
        )

    def averaged(self, read: Reader) -> dict[ClientId, Update]:
        """What entered the mean, once the strategy has aggregated: a strategy that clips changes the replies in place.

        Only those that it changed are read again.
        """
        return {
            client: self.updates[client] if self._is_as_it_came(client) else read(client, reply.content)
            for client, reply in self.accepted.items()
        }

    def _is_as_it_came(self, client: ClientId) -> bool:
        now, came = _arrays_in(self.accepted[client]), self.arrays[client]
        return len(now) == len(came) and all(one is other for one, other in zip(now, came, strict=True))


def _arrays_in(reply: Message) -> list[Array]:
    return [array for record in reply.content.array_records.values() for array in record.values()]


def _refuse_secure_aggregation(reply: Message) -> None:
    if SECURE_AGGREGATION in str(reply.error.reason):
        raise ConfigError(NO_SECURE_AGGREGATION)
