# SPDX-License-Identifier: MIT
"""fedlethe on Flower: a history, a resume and an erasure for a federation on many machines.

An app of your own gets them by one line, `strategy = Recording(FedAvg(...), run="/abs/run")`; `fedlethe flower new`
writes an app in which every unlearning method runs on the nodes. See docs/flower.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fedlethe.errors import FedletheError

try:
    import flwr  # noqa: F401
except ImportError:
    raise FedletheError("Flower is not installed; install it with: pip install 'fedlethe[flower]'") from None

if TYPE_CHECKING:
    from fedlethe.flower.app.client_app import client_app
    from fedlethe.flower.app.server_app import server_app
    from fedlethe.flower.nodes.flower_federation import FlowerFederation
    from fedlethe.flower.nodes.grid import RetainedGrid
    from fedlethe.flower.nodes.local import LocalGrid, LocalNode
    from fedlethe.flower.wrap.client_name import named
    from fedlethe.flower.wrap.erasing import Erasing
    from fedlethe.flower.wrap.recording import Recording

__all__ = [
    "Erasing",
    "FlowerFederation",
    "LocalGrid",
    "LocalNode",
    "Recording",
    "RetainedGrid",
    "client_app",
    "named",
    "server_app",
]

_PLACES = {
    "Erasing": "wrap.erasing",
    "FlowerFederation": "nodes.flower_federation",
    "LocalGrid": "nodes.local",
    "LocalNode": "nodes.local",
    "Recording": "wrap.recording",
    "RetainedGrid": "nodes.grid",
    "client_app": "app.client_app",
    "named": "wrap.client_name",
    "server_app": "app.server_app",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for alone: a node starts a process for every message, and needs nothing of the server's."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
