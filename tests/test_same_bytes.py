# SPDX-License-Identifier: MIT
"""One seed gives the same bytes, from one version of this package to the next.

The hashes were made before the package was re-arranged. Floating-point sums depend on the processor's instructions, so
they are held on the kind of machine that they were made on; elsewhere the same training is made twice.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

import fedlethe

HELD = json.loads((Path(__file__).parent / "same_bytes.json").read_text())
PHANTOM = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 40}
LEARNERS: dict[str, dict[str, Any]] = {
    "fedavg": {"rounds": 2, "local": {"epochs": 1}},
    "closed-form": {"learner": "closed-form", "features": {"scales": 2}, "closed_form": {"dimension": 32}},
}


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _models(out: Path, client: str, **arguments: Any) -> dict[str, str]:
    run = fedlethe.train(out=out, seed=7, **arguments)
    assert run.trained is not None
    found = {"trained": _hash(run.trained.model), "erased": _hash(run.erase(client).model)}
    return found if "learner" in arguments else {**found, "retrained": _hash(run.erase(client, method="retrain").model)}


def _held(what: str, found: dict[str, str], again: Any) -> None:
    if _machine() == HELD["machine"] and torch.get_num_threads() == 1:
        assert found == HELD[what]
    else:
        assert found == again()


@pytest.mark.parametrize("learner", LEARNERS)
def test_models_of_the_phantom(learner: str, tmp_path: Path) -> None:
    arguments = {"data": PHANTOM, **LEARNERS[learner]}
    found = _models(tmp_path / "run", "hospital-1", **arguments)
    _held(f"phantom {learner}", found, lambda: _models(tmp_path / "again", "hospital-1", **arguments))


@pytest.mark.parametrize("learner", LEARNERS)
def test_models_of_unlike_hospitals_on_real_images(learner: str, real_data: Path, tmp_path: Path) -> None:
    source = {"source": "medmnist", "flag": "pneumoniamnist", "root": str(real_data / "pneumoniamnist")}
    partition = {"scheme": "dirichlet", "clients": 3, "alpha": 0.3, "max_examples": 60}
    arguments = {"data": source, "partition": partition, **LEARNERS[learner]}
    found = _models(tmp_path / "run", "client-1", **arguments)
    _held(f"pneumoniamnist {learner}", found, lambda: _models(tmp_path / "again", "client-1", **arguments))


def test_the_answers_in_a_comparison(tmp_path: Path) -> None:
    document = {"seed": 7, "data": PHANTOM, "federation": {"rounds": 1}}

    def answers(out: Path) -> dict[str, str]:
        fedlethe.compare(document, ["influence"], out=out, seeds=[7], forget=["hospital-1"], references=3)
        hashes = sorted(map(_hash, out.glob("jobs/*.safetensors")))
        return {"answers": sha256("".join(f"{one}\n" for one in hashes).encode()).hexdigest()}

    _held("compare", answers(tmp_path / "one"), lambda: answers(tmp_path / "two"))
