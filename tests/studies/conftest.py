# SPDX-License-Identifier: MIT
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun


@pytest.fixture(scope="session")
def studied(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenRun]:
    """Three hospitals and three rounds, everything kept: opened, for studies that leave their values beside it."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("studied") / "run")
    with opened_run(Path(folder)) as run:
        yield run
