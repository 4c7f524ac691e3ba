# SPDX-License-Identifier: MIT
"""Asks clients and waits for their answers: who is away, who comes back, who takes too long."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from flwr.app import Message, RecordDict

from fedlethe.flower.nodes.grid import POLL, RetainedGrid
from fedlethe.flower.nodes.roster import one_line
from fedlethe.types import ClientId

OUT_OF_REACH = (3, 4, 5)
"""Flower's codes for a node, or a message, that got lost on the way: to ask again may help, as with no other error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """What happens when a client does not answer.

    Attributes:
        timeout: Seconds that an answer may take.
        on_absence: 'go-on' does without those who are away or take too long, as long as `least` answer; 'wait' waits
            for everybody, and asks a node again that has come back.
        least: The fewest answers that 'go-on' is content with.
    """

    timeout: float = 3600.0
    on_absence: Literal["go-on", "wait"] = "go-on"
    least: int = 2

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, not {self.timeout}")
        if self.on_absence not in ("go-on", "wait"):
            raise ValueError(f"on_absence must be go-on or wait, not {self.on_absence}")
        if self.least < 1:
            raise ValueError(f"least must be at least 1, not {self.least}")


@dataclass(frozen=True, slots=True)
class Absence:
    """A client that was to answer and did not.

    Attributes:
        group: In which round or stage.
        client: Who.
        reason: Why, as far as it is known.
    """

    group: str
    client: ClientId
    reason: str


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request that is under way."""

    client: ClientId
    node: int
    since: str


@dataclass(frozen=True)
class Exchange:
    """Messages to clients and back.

    Attributes:
        grid: Reaches the retained clients alone.
        patience: See `Patience`.
        absences: Who did not answer; shared with exchanges made from this one.
    """

    grid: RetainedGrid
    patience: Patience
    absences: list[Absence] = field(default_factory=list)

    def without(self, forget: Collection[ClientId]) -> Exchange:
        """The same, these clients gone."""
        inner = self.grid
        grid = RetainedGrid(inner.grid, inner.forget | frozenset(forget), inner.roster, inner.sent)
        return replace(self, grid=grid)

    def reaching(self, clients: Collection[ClientId]) -> Exchange:
        """The same, these clients there again."""
        inner = self.grid
        grid = RetainedGrid(inner.grid, inner.forget - frozenset(clients), inner.roster, inner.sent)
        return replace(self, grid=grid)

    def ask(self, contents: Mapping[ClientId, RecordDict], type: str, group: str) -> dict[ClientId, Message | str]:
        """Send each client its request and wait for the answers.

        Args:
            contents: Client to what it is sent.
            type: Of the messages.
            group: Names the round or stage.

        Returns:
            Client to its reply, or to the reason that there is none; in the order of `contents`.
        """
        answers: dict[ClientId, Message | str] = {}
        flying: dict[str, _Flight] = {}
        end = time.monotonic() + self.patience.timeout
        while True:
            # Who is there now comes first: a node that was started anew has lost its request, and is sent it again.
            self.grid.roster.refresh()
            self._lose(flying)
            self._send({client: contents[client] for client in contents if client not in answers}, flying, type, group)
            self._collect(flying, answers)
            if len(answers) == len(contents) or self._enough(contents, answers, flying, time.monotonic() > end):
                break
            time.sleep(POLL)
        for client in contents:
            if client not in answers:
                flown = any(flight.client == client for flight in flying.values())
                took = f"did not answer within {self.patience.timeout:g} seconds"
                answers[client] = took if flown else "its node is not connected"
        away = [Absence(group, client, said) for client, said in answers.items() if isinstance(said, str)]
        self.absences.extend(away)
        return {client: answers[client] for client in contents}

    def _send(self, due: Mapping[ClientId, RecordDict], flying: dict[str, _Flight], type: str, group: str) -> None:
        under_way = {flight.client for flight in flying.values()}
        roster = self.grid.roster
        nodes = {client: roster.node(client) for client in due if client not in under_way}
        flights = [_Flight(client, node, roster.since[node]) for client, node in nodes.items() if node is not None]
        messages = [
            Message(due[flight.client], dst_node_id=flight.node, message_type=type, group_id=group)
            for flight in flights
        ]
        if messages:
            ids = zip(self.grid.push_messages(messages), flights, strict=True)
            flying |= {id: flight for id, flight in ids if id}

    def _lose(self, flying: dict[str, _Flight]) -> None:
        """Forget requests to nodes that were started anew since: nobody works on them any more."""
        roster = self.grid.roster
        for id, flight in list(flying.items()):
            node = roster.node(flight.client)
            if node is not None and (node, roster.since[node]) != (flight.node, flight.since):
                del flying[id]

    def _collect(self, flying: dict[str, _Flight], answers: dict[ClientId, Message | str]) -> None:
        if not flying:
            return
        for reply in self.grid.pull_messages(list(flying)):
            flight = flying.pop(reply.metadata.reply_to_message_id)
            if not reply.has_error():
                answers[flight.client] = reply
            # Else no answer is noted, so that the client is asked again in the next turn of the loop.
            elif self.patience.on_absence == "go-on" or reply.error.code not in OUT_OF_REACH:
                answers[flight.client] = f"answered with an error: {one_line(reply.error.reason)}"

    def _enough(
        self,
        contents: Mapping[ClientId, RecordDict],
        answers: Mapping[ClientId, Message | str],
        flying: Mapping[str, _Flight],
        late: bool,
    ) -> bool:
        """Whether to go on without those who did not answer yet."""
        if self.patience.on_absence == "wait":
            return False
        usable = sum(not isinstance(answer, str) for answer in answers.values())
        # Nobody is given up on while an answer may still come, even where enough have answered.
        return late or (not flying and usable >= min(self.patience.least, len(contents)))
