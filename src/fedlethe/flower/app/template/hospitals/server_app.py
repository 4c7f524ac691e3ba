# SPDX-License-Identifier: MIT
"""What runs at the server."""

from pathlib import Path

from fedlethe.flower import server_app

app = server_app(Path(__file__).parent / "fedlethe.toml")
