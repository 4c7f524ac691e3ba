# SPDX-License-Identifier: MIT
"""A small federation of synthetic hospitals, as an app whose nodes are called in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict

from fedlethe.flower.app.client_app import client_app
from fedlethe.flower.app.server_app import server_app
from fedlethe.flower.nodes.local import LocalGrid, LocalNode

CONFIG = """
seed = 0
[data]
source = "phantom"
size = 16
hospitals = 3
images_per_hospital = 40
[model]
name = "small-cnn"
norm = "batch"
[federation]
rounds = 2
[local]
epochs = 1.0
batch_size = 16
[history]
keep = "everything"
"""

Tamper = Callable[[Message, Message], Message]
"""From a request and its reply to the reply that is sent."""

HOSPITALS = ("hospital-0", "hospital-1", "hospital-2")


@dataclass
class App:
    """An app in a folder, and the nodes that it runs on.

    Attributes:
        folder: Holds fedlethe.toml, and the run folder `run`.
        nodes: What they are configured with; new ones for every call, as in a simulation.
        grids: The grids of the calls so far.
    """

    folder: Path
    nodes: Sequence[LocalNode] = tuple(LocalNode({"partition-id": number}) for number in (2, 0, 1))
    grids: list[LocalGrid] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "fedlethe.toml"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def grid(self, tamper: Tamper | None = None, **options: Any) -> LocalGrid:
        """The nodes' grid; `tamper` changes what they answer."""
        app = client_app(self.config)

        def tampered(message: Message, context: Context) -> Message:
            reply = app(message, context)
            return reply if tamper is None else tamper(message, reply)

        grid = LocalGrid(tampered, self.nodes, self.options(options))
        self.grids.append(grid)
        return grid

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"run": str(self.run), "clients": len(self.nodes), "timeout": 5.0, **options}

    def call(self, grid: LocalGrid | None = None, **options: Any) -> None:
        """As `flwr run . -c OPTIONS`."""
        chosen = self.options(options)
        used = self.grid(**options) if grid is None else grid
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=chosen)
        server_app(self.config)(used, context)

    def refused(self, caplog: pytest.LogCaptureFixture, grid: LocalGrid | None = None, **options: Any) -> str:
        """The one line with which a call is refused."""
        with pytest.raises(SystemExit) as stopped:
            self.call(grid, **options)
        assert stopped.value.code == 2
        line = caplog.records[-1].getMessage()
        assert "\n" not in line
        return line


def app_in(folder: Path, config: str = CONFIG) -> App:
    (folder / "fedlethe.toml").write_text(config)
    return App(folder)
