# SPDX-License-Identifier: MIT
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import SCANS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place, generator = tmp_path / "data", np.random.default_rng(0)
    place.mkdir()
    for name in SCANS:
        Image.fromarray(generator.integers(0, 256, (16, 16)).astype(np.uint8)).save(place / name)
        os.utime(place / name, (1e9, 1e9))
    return place
