# SPDX-License-Identifier: MIT
"""mode = "train" or "closed-form": train into the run folder, over nodes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from flwr.app import Message

from fedlethe.config import resolve
from fedlethe.document import Document
from fedlethe.errors import FedletheError
from fedlethe.experiment.remote import REMOTE, remote_data
from fedlethe.experiment.run import opened_folder, prepare_with, read_run_document
from fedlethe.experiment.training import train_prepared
from fedlethe.flower.exchange import Exchange
from fedlethe.flower.grid import POLL
from fedlethe.flower.messages import DESCRIBE, Computing, Request
from fedlethe.flower.recorded import known_identities
from fedlethe.flower.remote import FlowerRemote
from fedlethe.flower.session import LOG, Session
from fedlethe.history.store import JSON
from fedlethe.types import ClientId

SAY_EVERY = 10.0
"""Seconds between two lines that say who is waited for."""


def train(session: Session) -> None:
    """Train into the run folder, or go on with what it holds."""
    options, out = session.options, session.options.folder
    after = Path(options.after) if options.after else None
    held = read_run_document(out)["run"].get(REMOTE) if (out / "run.toml").is_file() else None
    exchange = session.exchange(known_identities(out), describe=held is None)
    known = described(session, exchange) if held is None else held
    remote = session.remote(exchange, known, frozenset())
    prepared = prepare_with(resolve(session.document), remote_data(known), remote)
    every = options.evaluate_every
    trained = train_prepared(prepared, out, after=after, evaluated=lambda round: every > 0 and round % every == 0)
    record_nodes(out, remote)
    LOG.info(
        "fedlethe: %d rounds, accuracy %.3f, %s", trained.rounds, trained.evaluation.overall.accuracy, trained.model
    )


def described(session: Session, exchange: Exchange) -> Document:
    """What a new run has to know of its clients: those that are connected, once enough of them are.

    A node that cannot say what it holds, or holds another client's images, is turned away.

    Raises:
        FedletheError: Too few are left, or they do not agree on the classes or the shape of the images.
    """
    wait_for(exchange, session.options.clients)
    roster = exchange.grid.roster
    clients = sorted(identity.client for identity in roster.nodes.values())
    unheard = [client for client in clients if client not in roster.descriptions]
    contents = {client: Request(client=client, computing=Computing()).records() for client in unheard}
    answers = exchange.ask(contents, DESCRIBE, "description") if contents else {}
    facts: dict[ClientId, Any] = dict(roster.descriptions)
    for client, answer in answers.items():
        if isinstance(answer, Message):
            facts[client] = answer.content.config_records["reply"]
        else:
            roster.turn_away(client, answer)
            LOG.warning("fedlethe: %s takes no part: %s", client, answer)
    if len(facts) < session.options.clients:
        turned = "; ".join(roster.turned_away.values())
        raise FedletheError(f"{len(facts)} of {session.options.clients} clients can begin; {turned}")
    first = min(facts)
    for client in sorted(facts):
        for name in ("classes", "image_shape"):
            if facts[client][name] != facts[first][name]:
                mine, theirs = list(facts[client][name]), list(facts[first][name])
                raise FedletheError(f"{client}: its {name} are {mine}, those of {first} are {theirs}; make them alike")
    return {
        "classes": list(facts[first]["classes"]),
        "image_shape": [int(side) for side in facts[first]["image_shape"]],
        "fingerprints": {client: str(facts[client]["fingerprint"]) for client in sorted(facts)},
    }


def wait_for(exchange: Exchange, count: int) -> None:
    """Wait until so many clients are connected and known."""
    roster, said = exchange.grid.roster, 0.0
    end = time.monotonic() + exchange.patience.timeout
    roster.refresh()
    while len(roster.nodes) < count or not roster.settled:
        if time.monotonic() > end:
            turned = "".join(f"; {reason}" for reason in roster.turned_away.values())
            raise FedletheError(f"{len(roster.nodes)} of {count} clients are connected{turned}; start their SuperNodes")
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
