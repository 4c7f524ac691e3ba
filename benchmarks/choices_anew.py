# SPDX-License-Identifier: MIT
"""What keeping a training's choices costs where hospitals are unlike: `python benchmarks/choices_anew.py --root DATA`.

DATA is the folder of ISIC-2019's files. HAM10000 by acquisition site, closed form, 64 x 64, 256 features: each site in
turn is erased with the penalty and the class weights chosen anew, and with those of the training kept. Both models are
held against a training without the site, by the share of the test images that they answer otherwise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.federation.evaluation import log_probabilities
from fedlethe.learners.training import train_run
from fedlethe.learners.which import learner_of
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.types import Vector


def document(root: Path, size: int, **chosen: Any) -> dict[str, Any]:
    """The configuration, with these choices fixed."""
    return {
        "learner": "closed-form",
        "data": {"source": "isic2019", "root": str(root), "size": size, "channels": 1},
        "partition": {"scheme": "site", "allow_one_class": True},
        "closed_form": {"dimension": 256, **chosen},
    }


def answers(run: OpenRun, model: Vector) -> Any:
    """The class that a model answers to each test image of all sites."""
    tests = [held.test for held in run.data.clients.values()]
    return log_probabilities(run.network, run.layout, run.execution, model, tests).argmax(axis=1)


def erased(run: OpenRun, site: str) -> tuple[Vector, Mapping[str, float]]:
    """The model after a site was erased, and the figures of its record: what was chosen, among others."""
    erasure = erase(run, order_for(run.config, (site,), ErasurePlan(method="closed-form")))
    return run.history.erased_model(erasure.id), erasure.found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    table = Table("erased", "penalty", "class weights", "anew: answered otherwise", "kept: answered otherwise", "of")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train_run(resolve(document(options.root, options.size)), folder / "chosen")
        with opened_run(folder / "chosen") as run:
            first = json.loads((folder / "chosen/statistics/chosen.json").read_text())
            train_run(resolve(document(options.root, options.size, **first)), folder / "kept")
            table.add_row("nobody", f"{first['penalty']:g}", str(first["class_weights"]), "", "", "")
            with opened_run(folder / "kept") as kept:
                for site in sorted(run.data.clients):
                    retrained = answers(
                        run, learner_of(run.config).retrain(run, set(run.data.clients) - {site}, run.config.seed)
                    )
                    (model, found), (old, _) = erased(run, site), erased(kept, site)
                    weights = [found[f"class_weight_{label}"] for label in range(len(run.data.classes))]
                    wrong = [answers(run, one) != retrained for one in (model, old)]
                    shares = [f"{one.sum()} ({100 * one.mean():.1f} %)" for one in wrong]
                    table.add_row(site, f"{found['penalty']:g}", str(weights), *shares, f"{len(retrained):,}")
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
