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

import fedlethe
from fedlethe.federation.evaluation import log_probabilities  # the public face tells figures, no single answers
from fedlethe.learners.which import learner_of  # retrains without a site, and erases nobody
from fedlethe.runs.opening import opened_run  # opens what those two take
from fedlethe.runs.run import OpenRun  # as above, for its type
from fedlethe.types import Vector  # as above, for its type


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


def erased(run: fedlethe.Run) -> dict[str, tuple[str, Mapping[str, float]]]:
    """Each site, erased by itself: the erasure's id, and the figures of its record: what was chosen, among others."""
    made = {site: run.erase(site, method="closed-form") for site in run.clients}
    return {site: (erasure.id, erasure.found) for site, erasure in made.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    table = Table("erased", "penalty", "class weights", "anew: answered otherwise", "kept: answered otherwise", "of")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        chosen = fedlethe.train(config=document(options.root, options.size), out=folder / "chosen")
        first = json.loads((folder / "chosen/statistics/chosen.json").read_text())
        kept = fedlethe.train(config=document(options.root, options.size, **first), out=folder / "kept")
        table.add_row("nobody", f"{first['penalty']:g}", str(first["class_weights"]), "", "", "")
        anew, with_kept = erased(chosen), erased(kept)
        with opened_run(chosen.path) as run, opened_run(kept.path) as old:
            for site, (id, found) in anew.items():
                stay = set(chosen.clients) - {site}
                retrained = answers(run, learner_of(run.config).retrain(run, stay, run.config.seed))
                weights = [found[f"class_weight_{label}"] for label in range(len(run.data.classes))]
                models = (run.history.erased_model(id), old.history.erased_model(with_kept[site][0]))
                wrong = [answers(run, one) != retrained for one in models]
                shares = [f"{one.sum()} ({100 * one.mean():.1f} %)" for one in wrong]
                table.add_row(site, f"{found['penalty']:g}", str(weights), *shares, f"{len(retrained):,}")
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
