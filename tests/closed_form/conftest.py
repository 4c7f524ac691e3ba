# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
