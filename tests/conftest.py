# SPDX-License-Identifier: MIT
"""What all tests share: a cache of their own, and the real data where there are some."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of the tests and their children would fight over the cores

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fedlethe", deadline=None, derandomize=True)
settings.load_profile("fedlethe")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to one temporary folder for the session, so that they are decoded once.

    Flower's home is a temporary folder, too: a purge cleans the record that it finds there.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDLETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("FEDLETHE_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("FLWR_HOME", str(tmp_path_factory.mktemp("flwr")))
        patch.delenv("FEDLETHE_FLOWER_STATE", raising=False)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, $FEDLETHE_DATA; tests that need it are skipped where it is not set."""
    if not (folder := os.environ.get("FEDLETHE_DATA")):
        pytest.skip("FEDLETHE_DATA is not set")
    return Path(folder)
