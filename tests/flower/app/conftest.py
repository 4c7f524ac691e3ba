# SPDX-License-Identifier: MIT
"""Apps that were called already; a test that adds to one leaves what is there as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedlethe.document import read_toml
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.learners.training import train_run
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import config_for
from tests.flower.apps import App, app_in


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> App:
    """Trained for two rounds, one hospital erased."""
    app = app_in(tmp_path_factory.mktemp("app"))
    app.call()
    app.call(mode="erase", erase="hospital-1")
    return app


@pytest.fixture
def app(tmp_path: Path) -> App:
    return app_in(tmp_path)


@pytest.fixture(scope="session")
def in_process(finished: App) -> Path:
    """The same configuration without Flower: trained, the hospital erased, retrained without it."""
    out = finished.folder / "in process"
    document = read_toml(finished.config)
    train_run(config_for(document), out)
    with opened_run(out) as run:
        for method in ("recommended", "retrain"):
            erase(run, order_erasure(run, ["hospital-1"], ErasurePlan(method=method)))
    return out


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[App, Path]:
    """Trained in closed form and one hospital erased, on nodes and in one process."""
    app = app_in(tmp_path_factory.mktemp("closed"))
    app.call(mode="closed-form")
    app.call(mode="erase", erase="hospital-1")
    document = {"learner": "closed-form", "data": read_toml(app.config)["data"]}
    out = app.folder / "in process"
    train_run(config_for(document), out)
    with opened_run(out) as run:
        erase(run, order_erasure(run, ["hospital-1"], ErasurePlan()))
    return app, out
