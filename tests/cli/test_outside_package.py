# SPDX-License-Identifier: MIT
"""A package from outside brings a model, data, a method, an aggregator and an audit; then it is uninstalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedlethe.document import read_toml

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "hospital-lab"
version = "1.0"

[project.entry-points."fedlethe.models"]
lab-net = "hospital_lab.parts:Net"

[project.entry-points."fedlethe.data_sources"]
lab-cohort = "hospital_lab.parts:cohort"

[project.entry-points."fedlethe.methods"]
lab-share = "hospital_lab.parts:Share"

[project.entry-points."fedlethe.aggregators"]
lab-trimmed = "hospital_lab.parts:Trimmed"

[project.entry-points."fedlethe.audits"]
lab-confidence = "hospital_lab.parts:Confidence"

[tool.setuptools.packages.find]
where = ["src"]
"""

PARTS = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from fedlethe.audit import Measured
from fedlethe.types import Need
from fedlethe.unlearning import Unlearned


class Net(nn.Module):
    def __init__(self, in_channels, num_classes, width=4):
        super().__init__()
        self.first = nn.Linear(64 * in_channels, width)
        self.last = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.last(self.first(images.flatten(1)).relu())


def cohort(patients: int = 20):
    generator = np.random.default_rng(0)
    labels = np.arange(patients) % 2
    brighter = (100 * labels).astype(np.uint8)[:, None, None]
    return {
        client: (generator.integers(0, 150, (patients, 8, 8), dtype=np.uint8) + brighter, labels)
        for client in ("north", "south", "west")
    }


@dataclass(frozen=True, kw_only=True)
class Share:
    """Subtract a share of the influence."""

    paper: ClassVar[str] = "a lab"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.INFLUENCE})

    share: float = 0.5

    def unlearn(self, forget, history, federation):
        return Unlearned(model=history.final() - self.share * sum(history.influence(one) for one in sorted(forget)))


@dataclass(frozen=True, kw_only=True)
class Trimmed:
    """Without the least and the greatest."""

    paper: ClassVar[str] = "a lab"
    is_mean: ClassVar[bool] = False

    trim: int = 1

    def aggregate(self, before, models, weights):
        ordered = torch.stack(list(models.values())).sort(dim=0).values
        cut = min(self.trim, (len(ordered) - 1) // 2)
        return ordered[cut : len(ordered) - cut].mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Mean confidence on the forgotten images."""

    paper: ClassVar[str] = "a lab"
    figure: ClassVar[str] = "mean confidence of the lab"
    worse: ClassVar[str] = "large"
    words: ClassVar[tuple[str, str]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.0

    def measure(self, evidence):
        def of(models):
            return tuple(float(model.forgotten.max(axis=1).mean()) for model in models)

        return Measured(of(evidence.candidates), of(evidence.untouched), of(evidence.references))
'''

CONFIG = """
[data]
source = "lab-cohort"
patients = 24

[model]
name = "lab-net"

[federation]
rounds = 2

[history]
methods = ["influence", "lab-share"]

[method.lab-share]
share = 0.6
"""

Ran = subprocess.CompletedProcess[str]


def _run(folder: Path, packages: Path | None, *arguments: str) -> Ran:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if packages is not None:
        environment["PYTHONPATH"] = str(packages)
    command = [sys.executable, "-m", "fedlethe", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was installed into."""
    project, target = tmp_path_factory.mktemp("hospital-lab"), tmp_path_factory.mktemp("site-packages")
    (project / "src" / "hospital_lab").mkdir(parents=True)
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "src" / "hospital_lab" / "__init__.py").touch()
    (project / "src" / "hospital_lab" / "parts.py").write_text(PARTS)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def lab(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that the package's parts were trained into, and one erasure by its method."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "config.toml").write_text(CONFIG)
    _done(folder, packages, "train", "--config", "config.toml", "--out", "run")
    _done(folder, packages, "erase", "run", "--client", "north", "--method", "lab-share", "--set", "share=0.4")
    return folder


def _done(folder: Path, packages: Path | None, *arguments: str) -> dict[str, Any]:
    ran = _run(folder, packages, *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_the_run_keeps_which_code_it_was_trained_with(lab: Path, packages: Path) -> None:
    document = read_toml(lab / "run" / "run.toml")
    assert document["model"] == {"name": "lab-net"}
    assert document["data"] == {"source": "lab-cohort", "patients": 24}
    outside = document["run"]["outside"]
    assert set(outside) == {"model", "data source", "method lab-share"}
    assert {one["path"] for one in outside.values()} == {str(packages / "hospital_lab" / "parts.py")}
    assert all(len(one["sha256"]) == 64 for one in outside.values())
    assert outside["method lab-share"]["needs"] == ["INFLUENCE"]


def test_the_method_is_listed_and_was_used(lab: Path, packages: Path) -> None:
    row = {row["name"]: row for row in _done(lab, packages, "methods")["rows"]}["lab-share"]
    assert (row["paper"], row["defaults"]) == ("a lab", {"share": 0.5})
    record = json.loads((lab / "run" / "erasures" / "0001" / "erasure.json").read_text())
    assert record["method"] == "lab-share"
    assert record["request"]["method"] == {"name": "lab-share", "share": 0.4}


def test_compare_knows_it_in_its_workers_and_audits_with_its_audit(lab: Path, packages: Path) -> None:
    asked = ["--methods", "lab-share", "--seeds", "0", "--references", "3", "--client", "north"]
    made = _done(lab, packages, "compare", "config.toml", *asked, "--out", "compared", "--workers", "2")
    rows = {row["name"]: row for row in made["rows"]}
    assert set(rows) == {"untouched", "lab-share"}
    assert all(row["problem"] is None for row in rows.values())
    found = {finding["audit"]: finding for finding in rows["lab-share"]["findings"]}
    assert len(found["lab-confidence"]["measured"]["candidates"]) == 1


def test_a_request_is_carried_out_and_reported_and_the_page_needs_no_package(lab: Path, packages: Path) -> None:
    _done(lab, packages, "train", "--config", "config.toml", "--out", "asked")
    _done(lab, packages, "request", "asked", "--client", "south", "--reason", "please")
    _done(lab, packages, "key", "new", "key")
    named = ["--request", "R0001", "--method", "lab-share", "--key", "key", "--references", "3"]
    carried = _run(lab, packages, "erase", "asked", *named)
    if carried.returncode == 3:  # the audits found the client: that half of an influence is not enough is no news
        carried = _run(lab, packages, "erase", "asked", *named[:2], "--key", "key", "--accept-findings", "a test")
    assert carried.returncode == 0, carried.stderr
    page = (lab / _done(lab, packages, "report", "asked")["page"]).read_text()
    assert "mean confidence of the lab" in page
    certificate = str(lab / "asked" / "erasures" / "0001" / "certificate.json")
    for installed in (packages, None):
        assert _run(lab, installed, "verify", certificate, "--key", "key.pub", "--run", "asked").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ("report", "run"),
        ("erase", "run", "--client", "west"),
        ("request", "run", "--client", "west", "--reason", "please"),
        ("train", "--out", "run"),
        ("train", "--config", "config.toml", "--out", "another"),
        ("compare", "config.toml", "--client", "north", "--out", "another"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_without_the_package_one_line_says_what_is_missing(lab: Path, command: tuple[str, ...]) -> None:
    ran = _run(lab, None, *command)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "'lab-" in ran.stderr
    assert not (lab / "another").exists()


@pytest.mark.parametrize(
    "command",
    [("requests", "run"), ("ledger", "verify", "run"), ("history", "run"), ("history", "run", "--check"), ("methods",)],
    ids=" ".join,
)
def test_what_needs_no_model_and_no_data_needs_no_package(lab: Path, command: tuple[str, ...]) -> None:
    _done(lab, None, *command)


def test_code_that_has_changed_is_not_taken_for_what_was_trained_with(lab: Path, packages: Path) -> None:
    code = packages / "hospital_lab" / "parts.py"
    before = code.read_text()
    code.write_text(before.replace("width=4", "width=5"))
    try:
        ran = _run(lab, packages, "report", "run")
    finally:
        code.write_text(before)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert f"its model 'lab-net': {code} is not the file that it was trained with" in ran.stderr


def test_its_aggregator_is_used_in_training_in_workers_and_in_a_request(lab: Path, packages: Path) -> None:
    chosen = '[aggregator]\nname = "lab-trimmed"\ntrim = 2\n'
    (lab / "robust.toml").write_text(CONFIG.partition("[history]")[0] + chosen)
    _done(lab, packages, "train", "--config", "robust.toml", "--out", "robust")
    document = read_toml(lab / "robust" / "run.toml")
    assert document["aggregator"] == {"name": "lab-trimmed", "trim": 2}
    assert document["run"]["outside"]["aggregator"]["is_mean"] is False
    assert document["history"]["methods"] == []
    asked = ["--methods", "all", "--seeds", "0", "--references", "3", "--client", "north"]
    made = _done(lab, packages, "compare", "robust.toml", *asked, "--out", "robust compared", "--workers", "2")
    rows = {row["name"]: row["problem"] for row in made["rows"]}
    assert rows["retrain"] is rows["rollback"] is None
    assert "the aggregator is 'lab-trimmed'" in rows["influence"]
    assert "the aggregator is 'lab-trimmed'" in rows["lab-share"]
    _done(lab, packages, "request", "robust", "--client", "south", "--reason", "please")
    _done(lab, packages, "key", "new", "robust key")
    _done(lab, packages, "erase", "robust", "--request", "R0001", "--key", "robust key")
    certificate = str(lab / "robust" / "erasures" / "0001" / "certificate.json")
    verify = ("verify", certificate, "--key", "robust key.pub", "--run", "robust")
    for installed in (packages, None):  # what it says of the aggregator is on record
        assert _run(lab, installed, *verify).returncode == 0
    assert _done(lab, None, "requests", "robust")["requests"]
    for command in (["erase", "robust", "--client", "west"], ["train", "--config", "robust.toml", "--out", "another"]):
        ran = _run(lab, None, *command)
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def test_import_paths_of_the_current_folder_do_as_well(tmp_path: Path) -> None:
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "parts.py").write_text(PARTS)
    named = ["--model", "mylab.parts:Net", "--data", "mylab.parts:cohort", "--methods", "mylab.parts:Share"]
    _done(tmp_path, None, "train", *named, "--rounds", "1", "--set", "model.width=3", "--out", "run")
    made = _done(tmp_path, None, "erase", "run", "--client", "west", "--method", "mylab.parts:Share")
    assert made["method"] == "mylab.parts:Share"
    (tmp_path / "mylab").rename(tmp_path / "theirs")
    ran = _run(tmp_path, None, "report", "run")
    assert "there is no module 'mylab'; install the package that brings it" in ran.stderr
