# SPDX-License-Identifier: MIT
"""Small runs, each trained once and copied for whoever changes it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.requests.acting import CLOSED, RECOMMENDED, document, erased, images_of_patients, public_key, trained


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four hospitals, two rounds."""
    return trained(tmp_path_factory.mktemp("four") / "run", document(rounds=2))


@pytest.fixture
def run(untouched: Path, tmp_path: Path) -> Path:
    """A copy of `untouched`."""
    return Path(shutil.copytree(untouched, tmp_path / "run"))


@pytest.fixture(scope="session")
def done(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose hospital-1 was erased; the key beside it."""
    run = Path(shutil.copytree(untouched, tmp_path_factory.mktemp("done") / "run"))
    erased(run, "hospital-1", plan=replace(RECOMMENDED, references=3))
    public_key(run.parent)
    return run


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals, two rounds."""
    return trained(tmp_path_factory.mktemp("three") / "run", document(hospitals=3, rounds=2))


@pytest.fixture
def small(three: Path, tmp_path: Path) -> Path:
    """A copy of `three`."""
    return Path(shutil.copytree(three, tmp_path / "run"))


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """Four hospitals, one round."""
    return trained(tmp_path / "run", document(rounds=1))


@pytest.fixture(scope="session")
def closed_form_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals in closed form; for whoever copies it."""
    return trained(tmp_path_factory.mktemp("closed") / "run", CLOSED)


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """The public half of the key that certificates are signed with."""
    return public_key(tmp_path)


@pytest.fixture
def patients_table(tmp_path: Path) -> Path:
    """The table of two hospitals of eight patients."""
    return images_of_patients(tmp_path / "images", 1)
