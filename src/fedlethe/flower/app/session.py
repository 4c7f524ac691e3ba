# SPDX-License-Identifier: MIT
"""One call of the ServerApp: the run config, and what every mode needs of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from fedlethe.document import Document, construct
from fedlethe.errors import ConfigError
from fedlethe.flower.app.flower_remote import FlowerRemote
from fedlethe.flower.nodes.exchange import Exchange, Patience
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.roster import NodeIdentity, Roster
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.past import chain_of
from fedlethe.runs.remote import REMOTE
from fedlethe.runs.run_toml import opened_folder, read_run_document
from fedlethe.types import ClientId

LOG = logging.getLogger("flwr")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The run config, `[tool.flwr.app.config]` of the app; `flwr run -c 'mode="erase" ...'` lies over it.

    Attributes:
        mode: train; closed-form, which trains the closed-form federation; erase; retrain; audit.
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
        request: Carry this erasure request out (`fedlethe request`), audit, certificate and purge included.
        key: Signs the certificate: the key's absolute path on the server. Without it the request is carried out up to
            its audit, and `fedlethe erase RUN --request ID --key FILE`, which needs no node, does the rest.
        keep_for: Days for which the erased clients' traces are kept before they are purged.
        after: Erase from the result of this earlier erasure; or, in training, begin from RUN/erasures/ID.
        take_back: In training after an erasure: who was erased on the way there and takes part again, a,b,c.
        public: A TOML file on the server, whose [data] are unlabelled images that no client owns.
        erasure: The erasure to audit.
        references: Retrainings of other seeds that an erasure is held against, each of them a whole training; 0 for no
            audit of a request.
        ask_erased: Ask the erased clients, too, what the models make of their images.
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
    request: str = ""
    key: str = ""
    keep_for: int = 0
    after: str = ""
    take_back: str = ""
    public: str = ""
    erasure: str = ""
    references: int = 0
    ask_erased: bool = False

    @property
    def returning(self) -> tuple[ClientId, ...]:
        """Who is taken back."""
        return tuple(name for name in self.take_back.replace(" ", "").split(",") if name)

    @property
    def folder(self) -> Path:
        """The run folder."""
        if not self.run or not Path(self.run).is_absolute():
            raise ConfigError(f"run config: run = '{self.run}' must be an absolute path on the server")
        return Path(self.run)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the ServerApp.

    Attributes:
        grid: Flower's.
        options: The run config.
        document: The app's configuration.
        flower_run: The number of Flower's run.
    """

    grid: Grid
    options: Options
    document: Document
    flower_run: int

    def exchange(
        self,
        known: Mapping[str, NodeIdentity],
        forget: frozenset[ClientId] = frozenset(),
        describe: bool = False,
        image_key: str = "",
    ) -> Exchange:
        """The way to the nodes; the forgotten are not on it. `describe` has strangers say what they hold, too."""
        roster = Roster(self.grid, known=dict(known), describe=describe, image_key=image_key)
        values = {name: getattr(self.options, name) for name in ("timeout", "on_absence", "least")}
        return Exchange(RetainedGrid(self.grid, forget, roster), construct(Patience, values, "run config"))

    def remote(self, exchange: Exchange, known: Mapping[str, Any], forget: frozenset[ClientId]) -> FlowerRemote:
        """The nodes as a run sees them."""
        public = Path(self.options.public) if self.options.public else None
        return FlowerRemote(
            exchange=exchange,
            known=known,
            flower_run=self.flower_run,
            forget=forget,
            threads=self.options.threads,
            public=public,
        )


def known_nodes(path: Path) -> Document:
    """What a run knows of its nodes.

    Raises:
        FedletheError: It has none.
    """
    known: Document | None = read_run_document(path)["run"].get(REMOTE)
    if known is None:
        raise ConfigError(f"{path}: was not trained on Flower nodes; use: fedlethe erase {path}")
    return known


def earlier_erased(path: Path, after: str | None) -> frozenset[ClientId]:
    """Who was erased in an erasure and those before it, and in what the run began from; not who was taken back since.

    Raises:
        FedletheError: There is no such erasure, or a record on the way is not the one that was entered.
    """
    begun = Beginning.of(read_run_document(path)["run"])
    gone = {one.client for one in begun.left_out if one.images is None}
    with opened_folder(path) as (_, history):
        for _, made in chain_of(history, after):
            gone = (gone | set(made.forget)) - set(made.joined)
    return frozenset(gone)
