# SPDX-License-Identifier: MIT
"""What docs/extending.md shows is written into files and run as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from fedlethe.audit import AUDITS
from fedlethe.closed_form.features import FEATURES
from fedlethe.data import DATASETS
from fedlethe.federation.aggregator import AGGREGATORS
from fedlethe.models import MODELS
from fedlethe.unlearning import METHODS

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files."""
    folder = tmp_path_factory.mktemp("extending")
    for block in blocks("python"):
        name = block.splitlines()[0].removeprefix("# ")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(block)
    return folder


def _run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_its_commands_run(folder: Path) -> None:
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [command[:2] for command in commands] == [["fedlethe", "train"], ["fedlethe", "erase"]] * 2
    for command in commands:
        _run(folder, *command)
    for run, method in (("run", "mylab.forget:Share"), ("robust", "retrain")):
        record = json.loads((folder / run / "erasures" / "0001" / "erasure.json").read_text())
        assert record["method"] == method


def test_its_test_passes(folder: Path) -> None:
    assert "3 passed" in _run(folder, "pytest", "-q", "-p", "no:cacheprovider", "mylab/test_mine.py")


def test_its_entry_points_are_of_the_groups_that_are_read() -> None:
    read = {registry.group for registry in (MODELS, DATASETS, METHODS, AGGREGATORS, FEATURES, AUDITS)}
    assert set(re.findall(r"fedlethe\.(?:models|data_sources|methods|aggregators|feature_maps|audits)\b", PAGE)) == read
    (toml,) = blocks("toml")
    for group, module, name in re.findall(r'entry-points\."(.+?)"\]\n\S+ = "(.+?):(.+?)"', toml):
        assert group in read
        written = {block.splitlines()[0]: block for block in blocks("python")}[f"# {module.replace('.', '/')}.py"]
        assert re.search(rf"^(class|def) {name}\b", written, re.MULTILINE)


@pytest.mark.parametrize("name", ["fedlethe.audit.evidence.Audit", "fedlethe.closed_form.features.FeatureMap"])
def test_the_classes_that_it_names_are_there(name: str) -> None:
    assert name in PAGE
    module, _, kind = name.rpartition(".")
    assert hasattr(import_module(module), kind)
