# SPDX-License-Identifier: MIT
"""fedlethe on Flower: a history, a resume and an erasure for a federation on many machines.

An app of your own gets them by one line, `strategy = Recording(FedAvg(...), run="/abs/run")`; `fedlethe flower new`
writes an app in which every unlearning method runs on the nodes. See docs/flower.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlethe.errors import ConfigError
from fedlethe.later import names_from

try:
    import flwr  # noqa: F401
except ImportError:
    raise ConfigError("Flower is not installed; install it with: pip install 'fedlethe[flower]'") from None

if TYPE_CHECKING:
    from fedlethe.flower.app.client_app import client_app as client_app
    from fedlethe.flower.app.server_app import server_app as server_app
    from fedlethe.flower.nodes.flower_federation import FlowerFederation as FlowerFederation
    from fedlethe.flower.nodes.grid import RetainedGrid as RetainedGrid
    from fedlethe.flower.nodes.local import LocalGrid as LocalGrid
    from fedlethe.flower.nodes.local import LocalNode as LocalNode
    from fedlethe.flower.wrap.client_name import named as named
    from fedlethe.flower.wrap.erasing import Erasing as Erasing
    from fedlethe.flower.wrap.recording import Recording as Recording

_PLACES = {
    "Erasing": "flower.wrap.erasing",
    "FlowerFederation": "flower.nodes.flower_federation",
    "LocalGrid": "flower.nodes.local",
    "LocalNode": "flower.nodes.local",
    "Recording": "flower.wrap.recording",
    "RetainedGrid": "flower.nodes.grid",
    "client_app": "flower.app.client_app",
    "named": "flower.wrap.client_name",
    "server_app": "flower.app.server_app",
}

__all__ = [*_PLACES]

# A node starts a process for every message, and needs nothing of the server's.
__getattr__ = names_from(__name__, _PLACES)
