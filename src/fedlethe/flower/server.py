# SPDX-License-Identifier: MIT
"""What runs at the server: train, erase, retrain or audit, as the run config says."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from fedlethe import experiment, files, flags
from fedlethe.config import Document, Learner, construct, resolve
from fedlethe.errors import FedletheError
from fedlethe.experiment.erasure import Erasure
from fedlethe.experiment.remote import REMOTE, remote_data
from fedlethe.experiment.run import opened_folder, opened_run, prepare_with, read_run_document
from fedlethe.experiment.training import train_prepared
from fedlethe.flower.client import app_document
from fedlethe.flower.exchange import Exchange, Patience
from fedlethe.flower.grid import POLL, RetainedGrid
from fedlethe.flower.identity import Identity, Roster
from fedlethe.flower.messages import DESCRIBE, Computing, Request
from fedlethe.flower.recorded import known_identities
from fedlethe.flower.remote import FlowerRemote
from fedlethe.history.ledger import Artefact
from fedlethe.types import ClientId, Need

LOG = logging.getLogger("flwr")

SAY_EVERY = 10.0
"""Seconds between two lines that say who is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The run config, `[tool.flwr.app.config]` of the app; `flwr run -c 'mode="erase" ...'` lies over it.

    Attributes:
        mode: train; exact, which trains the closed-form federation; erase; retrain.
        run: The run folder: an absolute path on the server.
        set: Assignments over the app's configuration, such as 'federation.rounds=3 local.epochs=1'.
        clients: So many nodes have to be there before a new run begins; those that are there then are its clients.
        least: The fewest answers that a round goes on with.
        on_absence: 'go-on' or 'wait' (see `Patience`).
        timeout: Seconds that an answer may take.
        evaluate_every: Evaluate after every so many rounds; 0 for the last one alone.
        threads: Threads of one operation on every node; 0 for each node's own choice.
        erase: Who is erased, a,b,c.
        method: A method or recipe.
        options: Assignments: of the method, and of `repair.` and `mask.`, such as 'scale=0.5 repair.rounds=2'.
        after: Erase from the result of this earlier erasure; or, in training, begin from RUN/erasures/ID.
        public: A TOML file on the server, whose [data] are unlabelled images that no client owns.
    """

    mode: str = "train"
    run: str = ""
    set: str = ""
    clients: int = 2
    least: int = 2
    on_absence: str = "go-on"
    timeout: float = 3600.0
    evaluate_every: int = 1
    threads: int = 0
    erase: str = ""
    method: str = "recommended"
    options: str = ""
    after: str = ""
    public: str = ""

    @property
    def folder(self) -> Path:
        """The run folder."""
        if not self.run or not Path(self.run).is_absolute():
            raise FedletheError(f"run config: run = '{self.run}' must be an absolute path on the server")
        return Path(self.run)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the ServerApp.

    Attributes:
        grid: Flower's.
        options: The run config.
        document: The app's configuration.
    """

    grid: Grid
    options: Options
    document: Document

    def exchange(
        self, known: Mapping[str, Identity], forget: frozenset[ClientId] = frozenset(), describe: bool = False
    ) -> Exchange:
        """The way to the nodes; the forgotten are not on it. `describe` has strangers say what they hold, too."""
        roster = Roster(self.grid, known=dict(known), describe=describe)
        values = {name: getattr(self.options, name) for name in ("timeout", "on_absence", "least")}
        return Exchange(RetainedGrid(self.grid, forget, roster), construct(Patience, values, "run config"))

    def remote(self, exchange: Exchange, known: Mapping[str, Any], forget: frozenset[ClientId]) -> FlowerRemote:
        """The nodes as a run sees them."""
        public = Path(self.options.public) if self.options.public else None
        return FlowerRemote(exchange=exchange, known=known, forget=forget, threads=self.options.threads, public=public)


def server_app(config: Path) -> ServerApp:
    """The app of the server.

    Args:
        config: The federation's configuration, a TOML file as for `fedlethe train`, shipped with the app.

    Returns:
        A ServerApp that does what the run config's `mode` says (see `Options`).
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            options = construct(Options, _underscored(context.run_config), "run config")
            if options.mode not in MODES:
                raise FedletheError(f"run config: no mode '{options.mode}'; there is {', '.join(MODES)}")
            learner: Learner | None = "exact" if options.mode == "exact" else None
            document = app_document(config, context.run_config, learner)
            MODES[options.mode](Session(grid=grid, options=options, document=document))
        except FedletheError as error:
            LOG.error("fedlethe: %s", error)
            raise SystemExit(2) from None

    return app


def _underscored(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in values.items()}


# Training


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


# Erasing


def erase(session: Session) -> None:
    """Erase clients from the run's model by the chosen method or recipe."""
    options = session.options
    plain, repair, mask = _method_options(options.options)
    done = _erased(session, options.method, plain, repair, mask)
    LOG.info("fedlethe: erased %s by %s: %s", ", ".join(done.forget), done.method, done.model)


def retrain(session: Session) -> None:
    """Train again from the start without the clients: exact, and the reference for everything else."""
    done = _erased(session, "retrain", {}, {}, {})
    LOG.info("fedlethe: retrained without %s: %s", ", ".join(done.forget), done.model)


def _erased(
    session: Session, method: str, options: dict[str, Any], repair: dict[str, Any], mask: dict[str, Any]
) -> Erasure:
    path = session.options.folder
    forget = tuple(name for name in session.options.erase.replace(" ", "").split(",") if name)
    if not forget:
        raise FedletheError('run config: erase names nobody; give it a client, such as erase="hospital-1"')
    after = session.options.after or None
    known = read_run_document(path)["run"].get(REMOTE)
    if known is None:
        raise FedletheError(f"{path}: was not trained on Flower nodes; use: fedlethe erase {path}")
    with opened_folder(path) as (config, _):
        chosen = config.method(config.recipe(method).method, {**config.recipe(method).options, **options})
    gone = frozenset(forget) | earlier_erased(path, after)
    takes_part = Need.FORGOTTEN_DATA in chosen.needs
    exchange = session.exchange(known_identities(path), gone - frozenset(forget) if takes_part else gone)
    remote = session.remote(exchange, known, gone)
    with opened_run(path, remote) as run:
        request = experiment.request(run, forget, method, options, mask, repair, after)
        return experiment.erase(run, request)


def earlier_erased(path: Path, after: str | None) -> frozenset[ClientId]:
    """Who was erased in an erasure and those before it."""
    gone: set[ClientId] = set()
    while after is not None:
        place = path / "erasures" / after / "erasure.json"
        if not place.is_file():
            raise FedletheError(f"{path}: there is no erasure '{after}'")
        facts = json.loads(place.read_bytes())
        gone |= set(facts["forget"])
        after = facts.get("after")
    return frozenset(gone)


def _method_options(text: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Assignments of the method, the repair and the mask."""
    parts: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
    for name, value in flags.assignments(shlex.split(text)).items():
        table, dot, key = name.partition(".")
        if dot and table not in ("repair", "mask"):
            raise FedletheError(f"options: '{name}' is neither the method's nor of repair. or mask.")
        parts[0 if not dot else 1 if table == "repair" else 2][key or name] = value
    return parts


# The record of the nodes


def record_nodes(path: Path, remote: FlowerRemote) -> None:
    """Enter who the clients of a training were, and what they were sent, as RUN/nodes/0001.json and so on."""
    with opened_folder(path) as (_, history), history.locked():
        number = sum(artefact.kind == "nodes" for artefact in history.ledger.artefacts().values()) + 1
        place = path / "nodes" / f"{number:04d}.json"
        files.write_text(place, json.dumps(remote.correspondence(), indent=1))
        name = place.relative_to(path).as_posix()
        size, digest = place.stat().st_size, files.sha256_of(place)
        history.ledger.add_artefacts([Artefact(name, "nodes", None, history.rounds, size, digest)])


MODES: dict[str, Callable[[Session], None]] = {"train": train, "exact": train, "erase": erase, "retrain": retrain}
