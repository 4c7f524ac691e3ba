# SPDX-License-Identifier: MIT
"""mode = "train" or "closed-form": train into the run folder, over nodes."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flwr.app import Message

from fedlethe.config import resolve
from fedlethe.document import Document
from fedlethe.errors import DataError, NodeError
from fedlethe.flower.app.flower_remote import FlowerRemote
from fedlethe.flower.app.session import LOG, Session, known_nodes
from fedlethe.flower.nodes.exchange import Exchange
from fedlethe.flower.nodes.grid import POLL
from fedlethe.flower.nodes.messages import DESCRIBE, Computing, NodeRequest
from fedlethe.flower.nodes.recorded_folder import known_identities
from fedlethe.flower.nodes.returning import SKETCHES, Returning, lines, sketches_in
from fedlethe.history.sealing import Key
from fedlethe.history.store import JSON
from fedlethe.learners.training import train_prepared
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.past import begun_parts
from fedlethe.runs.preparing import prepare_with
from fedlethe.runs.remote import remote_data
from fedlethe.runs.run_toml import opened_folder
from fedlethe.runs.where_to_begin import held_beginning, refuse_taking_back, relative_to
from fedlethe.types import ClientId

SAY_EVERY = 10.0
"""Seconds between two lines that say who is waited for."""


def train_mode(session: Session) -> None:
    """Train into the run folder, or go on with what it holds."""
    options, out = session.options, session.options.folder
    begun, exchange, known, key = _begun(session, out)
    for line in lines(begun):
        LOG.warning("fedlethe: %s", line)
    remote = session.remote(exchange, known, frozenset(one.client for one in begun.left_out))
    prepared = prepare_with(resolve(session.document), remote_data(known), remote)
    every = options.evaluate_every

    def due(round: int) -> bool:
        return every > 0 and round % every == 0

    trained = train_prepared(prepared, out, begun=begun, evaluated=due, image_key=key)
    record_nodes(out, remote)
    LOG.info(
        "fedlethe: %d rounds, accuracy %.3f, %s", trained.rounds, trained.evaluation.overall.accuracy, trained.model
    )


def _begun(session: Session, out: Path) -> tuple[Beginning, Exchange, Document, Key | None]:
    """Where the training begins, the way to who takes part, what is known of them, and the key of new fingerprints."""
    options = session.options
    after = Path(options.after) if options.after else None
    if (begun := held_beginning(out, after, options.returning)) is not None:
        gone = frozenset(one.client for one in begun.left_out)
        return begun, session.exchange(known_identities(out), gone), known_nodes(out), None
    relative = relative_to(out, after)
    if relative is None:
        refuse_taking_back(options.returning)
    with ExitStack() as stack:
        returning = Returning.after(begun_parts(out, relative, stack), options.returning)
        forget = frozenset(returning.erased.clients)
        exchange = session.exchange(returning.known, forget, True, returning.key.secret.hex())
        known = described(session, exchange, returning)
        return returning.beginning(relative), exchange, known, returning.key


def described(session: Session, exchange: Exchange, returning: Returning) -> Document:
    """What a new run has to know of its clients: those that are connected, once enough of them are.

    Who was erased before is left out. A node that cannot say what it holds, or holds another client's images, is turned
    away.

    Raises:
        NodeError: Too few are left.
        DataError: They do not agree on the classes or the shape of the images.
    """
    wait_for(exchange, session.options.clients)
    roster, grid = exchange.grid.roster, exchange.grid
    returning.look(grid)
    clients = sorted({identity.client for identity in roster.nodes.values()} - grid.forget)
    unheard = [client for client in clients if client not in roster.descriptions]
    asking = {"key": returning.key.secret.hex()}
    contents = {
        client: NodeRequest(client=client, computing=Computing(), options=asking).records() for client in unheard
    }
    answers = exchange.ask(contents, DESCRIBE, "description") if contents else {}
    facts: dict[ClientId, Any] = {client: roster.descriptions[client] for client in clients if client not in unheard}
    for client, answer in answers.items():
        if isinstance(answer, Message):
            facts[client] = answer.content.config_records["reply"]
        else:
            roster.turn_away(client, answer)
            LOG.warning("fedlethe: %s takes no part: %s", client, answer)
    returning.compare(grid, sketches_in(facts))
    facts = {client: one for client, one in facts.items() if client not in grid.forget}
    if not facts or len(facts) + len(returning.left_out) < session.options.clients:
        turned = "; ".join([*roster.turned_away.values(), *map(str, returning.left_out.values())])
        raise NodeError(f"{len(facts)} of {session.options.clients} clients can begin; {turned}")
    first = min(facts)
    for client in sorted(facts):
        for name in ("classes", "image_shape"):
            if facts[client][name] != facts[first][name]:
                mine, theirs = list(facts[client][name]), list(facts[first][name])
                raise DataError(f"{client}: its {name} are {mine}, those of {first} are {theirs}; make them alike")
    return {
        "classes": list(facts[first]["classes"]),
        "image_shape": [int(side) for side in facts[first]["image_shape"]],
        "fingerprints": {client: str(facts[client]["fingerprint"]) for client in sorted(facts)},
        SKETCHES: sketches_in(facts),
    }


def wait_for(exchange: Exchange, count: int) -> None:
    """Wait until so many clients are connected and known."""
    roster, said = exchange.grid.roster, 0.0
    end = time.monotonic() + exchange.patience.timeout
    roster.refresh()
    while len(roster.nodes) < count or not roster.settled:
        if time.monotonic() > end:
            turned = "".join(f"; {reason}" for reason in roster.turned_away.values())
            raise NodeError(f"{len(roster.nodes)} of {count} clients are connected{turned}; start their SuperNodes")
        if time.monotonic() - said > SAY_EVERY:
            LOG.info("fedlethe: %d of %d clients are connected; waiting", len(roster.nodes), count)
            said = time.monotonic()
        time.sleep(POLL)
        roster.refresh()


def record_nodes(path: Path, remote: FlowerRemote) -> None:
    """Enter who the clients of a training were, and what they were sent, as RUN/nodes/0001.json and so on."""
    with opened_folder(path) as (_, history), history.locked():
        number = sum(artefact.kind == "nodes" for artefact in history.ledger.artefacts().values()) + 1
        nodes = json.dumps(remote.correspondence(), indent=1).encode()
        made = history.store.write("nodes", f"nodes/{number:04d}", None, [nodes], history.rounds, JSON)
        history.ledger.add_artefacts([made])
