# SPDX-License-Identifier: MIT
"""What runs at every hospital."""

from pathlib import Path

from fedlethe.flower import client_app

app = client_app(Path(__file__).parent / "fedlethe.toml")
