# SPDX-License-Identifier: MIT
"""The tables of docs/results.md, made by the command line itself on real images.

    python benchmarks/real_images.py pneumoniamnist ROOT OUT
    python benchmarks/real_images.py ham10000 ROOT OUT

ROOT holds the data set, OUT takes the runs; what is there already is not done again.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

TRAINING = {
    "pneumoniamnist": "--data medmnist --flag pneumoniamnist --clients 5 --model small-cnn "
    "--rounds 15 --local-epochs 2",
    "ham10000": "--data isic2019 --size 64 --model small-cnn --norm batch --rounds 10 --local-epochs 1 "
    "--optimizer adam --learning-rate 0.002",
}
ERASED = {"pneumoniamnist": "client-2", "ham10000": "rosendahl"}
SEEDS = {"pneumoniamnist": (0, 1, 2), "ham10000": (0,)}


def fedlethe(*arguments: str) -> dict[str, Any]:
    """Run one command and give back what it prints with --json."""
    command = [sys.executable, "-m", "fedlethe", *arguments, "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    result: dict[str, Any] = json.loads(output)
    return result


def rows(name: str, seed: int, root: str, out: Path) -> dict[str, dict[str, Any]]:
    """Train with one seed, erase by influence with one repair round, and retrain."""
    run = str(out / f"{name}-{seed}")
    kept = Path(f"{run}.json")
    if kept.is_file():
        earlier: dict[str, dict[str, Any]] = json.loads(kept.read_text())
        return earlier
    training = [*TRAINING[name].split(), "--root", root, "--seed", str(seed), "--out", run]
    erase = ["erase", run, "--client", ERASED[name], "--method"]
    results = {
        "trained": fedlethe("train", *training),
        "influence, 1 repair round": fedlethe(*erase, "influence", "--repair-rounds", "1"),
        "retrain": fedlethe(*erase, "retrain"),
    }
    kept.write_text(json.dumps(results))
    return results


def line(model: str, seed: str, results: list[dict[str, Any]]) -> str:
    """One row of the table: means over the results."""
    accuracy, balanced, auc = (
        statistics.mean(result[key] for result in results) for key in ("accuracy", "balanced_accuracy", "auc")
    )
    examples = statistics.mean(result["examples"] for result in results)
    seconds = statistics.mean(result["seconds"] for result in results)
    return f"| {model} | {seed} | {accuracy:.3f} | {balanced:.3f} | {auc:.3f} | {examples:,.0f} | {seconds:.0f} |"


def main() -> None:
    """Print the table in Markdown."""
    name, root, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    seeds = {seed: rows(name, seed, root, out) for seed in SEEDS[name]}
    print("| model | seed | accuracy | balanced accuracy | AUC | examples | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model in next(iter(seeds.values())):
        for seed, results in seeds.items():
            print(line(model, str(seed), [results[model]]))
        if len(seeds) > 1:
            print(line(f"**{model}**", "mean", [results[model] for results in seeds.values()]))


if __name__ == "__main__":
    main()
