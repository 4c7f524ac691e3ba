# SPDX-License-Identifier: MIT
"""The folder in which `Recording` records the rounds of an app of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from fedlethe import files
from fedlethe.config import HistorySettings
from fedlethe.document import Document, construct, parse_toml
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.flower.nodes.grid import RetainedGrid
from fedlethe.flower.nodes.roster import NodeIdentity
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import Artefact, ArtefactKind
from fedlethe.history.ledger import demand_as_entered
from fedlethe.history.paths import Kind, kind_of
from fedlethe.history.store import JSON, Store
from fedlethe.requests.superlink_state import told
from fedlethe.types import ClientId
from fedlethe.version import VERSION

PLACE = "recording.toml"
"""Says what is recorded; a run of fedlethe's own app has a run.toml in its place."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run folder without fedlethe's configuration: only the app itself knows how its model is trained.

    Attributes:
        path: The folder.
        strategy: The class of the strategy that was recorded.
        settings: What is kept.
    """

    path: Path
    strategy: str
    settings: HistorySettings

    @classmethod
    def named(cls, path: Path, strategy: str, keep: str, methods: Sequence[str]) -> Recorded:
        """A folder to record in, there or not.

        Raises:
            ConfigError: The path is not absolute, or a value is wrong.
        """
        if not path.is_absolute():
            raise ConfigError(f"{path}: a run folder of Flower must be an absolute path")
        settings = construct(HistorySettings, {"keep": keep, "methods": list(methods)}, "Recording")
        settings.needs()
        return cls(path, strategy, settings)

    @classmethod
    def of(cls, path: Path) -> Recorded:
        """The folder that was recorded in.

        Raises:
            HistoryError: It is none.
        """
        if not (path / PLACE).is_file():
            raise HistoryError(f"{path}: holds no recording (it has no {PLACE})")
        document = _document(path)
        return cls.named(path, document["strategy"], document["keep"], document["methods"])

    @contextmanager
    def opened(self, create: bool = False) -> Iterator[RunFolder]:
        """The history in the folder.

        Raises:
            HistoryError: It is the record of another strategy, or keeps something else.
        """
        document = {"strategy": self.strategy, "keep": self.settings.keep, "methods": list(self.settings.methods)}
        if (self.path / PLACE).is_file():
            held = _document(self.path)
            for name, value in document.items():
                if held.get(name) != value:
                    raise HistoryError(
                        f"{self.path}: holds another recording: its {name} is {held.get(name)}, not {value}; "
                        "choose another folder"
                    )
        elif create:
            files.write_text(self.path / PLACE, tomlkit.dumps({**document, "version": VERSION}))
        history = RunFolder(self.path, (), self.settings.needs(), create)
        history.clients = tuple(sorted({entry.client for entry in history.ledger.participation()}))
        try:
            yield history
        finally:
            history.close()

    def nodes(self, grid: RetainedGrid, history: RunFolder) -> Artefact:
        """Write who the clients of these rounds were, and what they were sent, as nodes/0001.json and so on."""
        number = sum(artefact.kind == "nodes" for artefact in history.ledger.artefacts().values()) + 1
        return write_nodes(history.store, "nodes", f"nodes/{number:04d}", grid)


def _document(path: Path) -> Document:
    """What recording.toml holds, checked against the ledger where there is one."""
    content = files.content_of(path / PLACE)
    demand_as_entered(path, PLACE, content)
    return parse_toml(content, path / PLACE)


def write_nodes(store: Store, kind: ArtefactKind, name: str, grid: RetainedGrid) -> Artefact:
    """Write the record of a grid's messages into a run folder; the caller enters it in the ledger."""
    return store.write(kind, name, None, [json.dumps(correspondence(grid), indent=1).encode()], ending=JSON)


def correspondence(
    grid: RetainedGrid, clients: Iterable[ClientId] = (), forget: Iterable[ClientId] = ()
) -> dict[str, object]:
    """Who the clients are, how that is known, and how many messages of which type each was sent.

    Args:
        grid: What the messages went through.
        clients: Who has to stand in it, if only with no message.
        forget: Who is forgotten beside those who are not on the grid.
    """
    identities, forgotten = grid.roster.identities(), {*grid.forget, *forget}
    clients = sorted({*identities, *clients, *forgotten, *(client for client, _ in grid.sent)})
    return {
        "identities": {client: {"kind": one.kind, "key": one.key} for client, one in identities.items()},
        "messages": {
            client: {kind: count for (to, kind), count in sorted(grid.sent.items()) if to == client}
            for client in clients
        },
        "questions_of_identity": {client: grid.roster.questions[client] for client in clients},
        "forgotten": sorted(forgotten),
        "flower_state": sorted(set(told())),
        "turned_away": {str(node): reason for node, reason in sorted(grid.roster.turned_away.items())},
    }


def known_identities(path: Path) -> dict[str, NodeIdentity]:
    """Who has been met in the runs of a folder, by the digest of the node's key."""
    known: dict[str, NodeIdentity] = {}
    if not (path / "ledger.db").is_file():
        return known
    history = RunFolder(path, (), frozenset())
    try:
        held = [one for one in history.ledger.artefacts().values() if kind_of(one) is Kind.NODES]
        contents = [history.store.content(one) for one in held]
    finally:
        history.close()
    for content in contents:
        for client, one in json.loads(content)["identities"].items():
            if one["key"] is not None:
                known[one["key"]] = NodeIdentity(client, one["kind"], one["key"])
    return known
