# SPDX-License-Identifier: MIT
"""Two small runs, trained once: a network's and one in closed form. Tests that write take a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.small import CLOSED, NETWORK, trained


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(NETWORK, tmp_path_factory.mktemp("network") / "run")


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(CLOSED, tmp_path_factory.mktemp("closed") / "run")
