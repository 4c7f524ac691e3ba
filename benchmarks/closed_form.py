# SPDX-License-Identifier: MIT
"""The closed form on PneumoniaMNIST, as ratios within this one run: `python benchmarks/closed_form.py --root DATA`.

DATA is the folder that holds pneumoniamnist.npz. The figures, with the bound that the project holds itself to:
1. Scattering images/s, 28 x 28 padded to 32 x 32.
2. Erasing one of five hospitals (reading its statistics, subtracting, solving) against training the small CNN without
   it (15 rounds of 2 epochs), with all 3,472 features and with 1,024; with a penalty that is fixed, and chosen anew,
   which reads the statistics of everybody who stays and fits without each of them in turn.
3. The same against the paper preset on ResNet-50 (15 rounds of 7 epochs, 128 x 128, batch 16), from its images/s here.
4. What a hospital sends.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import fedlethe
from fedlethe.closed_form.features import ScatteringFeatures  # timed by itself, without a federation around it

GONE = "client-2"
REPEATS = 7
Tables = dict[str, Any]


def scattering_speed() -> float:
    """Images/s, the median of some repeats."""
    transform = ScatteringFeatures().prepare((1, 28, 28))
    batch = torch.rand(512, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    transform(batch)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        transform(batch)
        seconds.append(time.perf_counter() - start)
    return len(batch) / statistics.median(seconds)


def erasing(document: Tables, folder: Path) -> tuple[float, int]:
    """Seconds that an erasure takes, the median over the hospitals, and the bytes that a hospital sends."""
    run = fedlethe.train(config=document, out=folder)
    assert run.trained is not None
    seconds = [run.erase(client, method="closed-form").cost.seconds for client in run.clients]
    return statistics.median(seconds), run.trained.bytes_sent


def retraining(document: Tables, folder: Path) -> tuple[float, int]:
    """Seconds that training the small CNN without the hospital takes, and the images that it trains on."""
    cost = fedlethe.train(config=document, out=folder).erase(GONE, method="retrain").cost
    return cost.seconds, cost.examples


def resnet_speed(folder: Path) -> float:
    """Training images/s of the paper preset: ResNet-50, 1 x 128 x 128, batch 16."""
    pixels, labels = np.random.default_rng(0).normal(size=(60, 1, 128, 128)).astype(np.float32), np.arange(60) % 2
    local = {"epochs": 1, "batch_size": 16, "learning_rate": 0.005, "momentum": 0.0}
    data = {"north": (pixels, labels), "south": (pixels[::-1].copy(), labels)}
    trained = fedlethe.train("resnet50", data, out=folder, rounds=3, local=local).trained
    assert trained is not None
    return trained.examples / (trained.seconds * (1 - trained.recording_share))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="the folder that holds pneumoniamnist.npz")
    data = {"source": "medmnist", "flag": "pneumoniamnist", "root": parser.parse_args().root}
    closed_form: Tables = {"data": data, "learner": "closed-form"}
    rounds, epochs = 15, 2
    network: Tables = {"data": data, "federation": {"rounds": rounds}, "local": {"epochs": epochs}}
    title = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("what", "measured", "ratio", "bound", title=title)
    table.add_row("scattering, 28 x 28", f"{scattering_speed():.0f} images/s", "", ">= 700")
    with tempfile.TemporaryDirectory() as folder:
        (slow, examples), resnet = retraining(network, Path(folder) / "run"), resnet_speed(Path(folder) / "resnet")
    table.add_row("small CNN trained without the hospital", f"{slow:.1f} s", "", "")
    paper = 15 * 7 * examples / (rounds * epochs) / resnet
    table.add_row("ResNet-50, the paper preset, without it", f"{resnet:.1f} images/s: {paper:,.0f} s", "", "")
    cases: list[tuple[Tables, str]] = [
        ({"penalty": 0.316}, ">= 50x, <= 3 s"),
        ({}, ""),
        ({"penalty": 0.316, "dimension": 1024}, ">= 1,000x"),
        ({"dimension": 1024}, ""),
    ]
    for settings, bound in cases:
        with tempfile.TemporaryDirectory() as folder:
            seconds, sent = erasing({**closed_form, "closed_form": settings}, Path(folder) / "run")
        size = settings.get("dimension", 3472)
        name = f"erasing, {size:,} features, penalty {'fixed' if 'penalty' in settings else 'chosen anew'}"
        table.add_row(f"{name}, against the small CNN", f"{seconds:.3f} s", f"{slow / seconds:,.0f}x", bound)
        table.add_row(f"{name}, against ResNet-50", f"{seconds:.3f} s", f"{paper / seconds:,.0f}x", "")
        table.add_row(f"{name}, a hospital sends", f"{sent:,} bytes", "", "< 10 MB" if size == 1024 else "")
    Console().print(table)


if __name__ == "__main__":
    main()
