# SPDX-License-Identifier: MIT
"""The closed form on PneumoniaMNIST, as ratios within this one run: `python benchmarks/closed_form.py --root DATA`.

DATA is the folder that holds pneumoniamnist.npz. The figures, with the bound that the project holds itself to:
1. Scattering images/s, 28 x 28 padded to 32 x 32.
2. Erasing one of five hospitals (reading its statistics, subtracting, solving) against training the small CNN without
   it (15 rounds of 2 epochs), with all 3,472 features and with 1,024.
3. The same against the paper preset on ResNet-50 (15 rounds of 7 epochs, 128 x 128, batch 16), from its images/s here.
4. What a hospital sends.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from fedlethe.closed_form.features import ScatteringFeatures
from fedlethe.config import resolve
from fedlethe.data.federated import Examples, normalise
from fedlethe.document import Document
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.federation.client import LocalTraining, train_locally
from fedlethe.federation.execution import Execution
from fedlethe.federation.metered import Meter
from fedlethe.federation.train import train
from fedlethe.learners.training import train_run
from fedlethe.models import initialise
from fedlethe.models.resnet import ResNet50
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import prepare
from fedlethe.vector import Layout, to_vector

GONE = "client-2"
REPEATS = 7


def scattering_speed(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """Images/s, the median of some repeats."""
    transform = ScatteringFeatures().prepare((1, 28, 28))
    batch = normalise(torch.from_numpy(images[:512].copy()))
    transform(batch)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        transform(batch)
        seconds.append(time.perf_counter() - start)
    return len(batch) / statistics.median(seconds)


def erasing(document: Document, folder: Path) -> tuple[float, int]:
    """Seconds that an erasure takes, the median of some repeats, and the bytes that a hospital sends."""
    trained = train_run(resolve(document), folder)
    seconds = []
    with opened_run(folder) as run:
        method = order_erasure(run, (GONE,), ErasurePlan(method="closed-form")).method
        for _ in range(REPEATS):
            meter = Meter()
            unlearned_by(run, (GONE,), method, run.history, meter)
            seconds.append(meter.cost().seconds)
    return statistics.median(seconds), trained.bytes_sent


def retraining(document: Document) -> float:
    """Seconds that training the small CNN without the hospital takes."""
    prepared = prepare(resolve(document))
    federation = prepared.federation().without((GONE,))
    schedule = [(round, federation.clients) for round in range(1, prepared.config.federation.rounds + 1)]
    start = time.perf_counter()
    for _ in train(federation, to_vector(prepared.network, prepared.layout), schedule):
        pass
    return time.perf_counter() - start


def resnet_speed() -> float:
    """Training images/s of the paper preset: ResNet-50, 1 x 128 x 128, batch 16."""
    network = initialise(ResNet50(), 1, 2, seed=0)
    execution = Execution().resolve(network)
    network, layout = execution.place(network), Layout.of(network)
    pixels = np.random.default_rng(0).integers(0, 256, (96, 1, 128, 128), dtype=np.uint8)
    examples = Examples(pixels, np.arange(96), np.arange(96) % 2)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        train_locally(
            network,
            layout,
            to_vector(network, layout),
            client=GONE,
            examples=examples,
            settings=LocalTraining(epochs=1, batch_size=16, learning_rate=0.005, momentum=0.0),
            execution=execution,
            generator=torch.Generator().manual_seed(0),
        )
        seconds.append(time.perf_counter() - start)
    return 96 / min(seconds)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="the folder that holds pneumoniamnist.npz")
    data = {"source": "medmnist", "flag": "pneumoniamnist", "root": parser.parse_args().root}
    closed_form: Document = {"data": data, "learner": "closed-form"}
    network = {"data": data, "federation": {"rounds": 15}, "local": {"epochs": 2}}
    title = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("what", "measured", "ratio", "bound", title=title)
    prepared = prepare(resolve(network))
    train_sets = {client: held.train for client, held in prepared.data.clients.items()}
    speed = scattering_speed(train_sets[GONE].images)
    table.add_row("scattering, 28 x 28", f"{speed:.0f} images/s", "", ">= 700")
    slow, resnet = retraining(network), resnet_speed()
    table.add_row("small CNN trained without the hospital", f"{slow:.1f} s", "", "")
    rows = sum(len(held) for client, held in train_sets.items() if client != GONE)
    paper = 15 * 7 * rows / resnet
    table.add_row("ResNet-50, the paper preset, without it", f"{resnet:.1f} images/s: {paper:,.0f} s", "", "")
    for size, bound in ((None, ">= 50x, <= 3 s"), (1024, ">= 1,000x")):
        with tempfile.TemporaryDirectory() as folder:
            document = closed_form if size is None else {**closed_form, "closed_form": {"dimension": size}}
            seconds, sent = erasing(document, Path(folder) / "run")
        name = f"erasing, {size or 3472:,} features"
        table.add_row(f"{name}, against the small CNN", f"{seconds:.3f} s", f"{slow / seconds:,.0f}x", bound)
        table.add_row(f"{name}, against ResNet-50", f"{seconds:.3f} s", f"{paper / seconds:,.0f}x", "")
        table.add_row(f"{name}, a hospital sends", f"{sent:,} bytes", "", "< 10 MB" if size else "")
    Console().print(table)


if __name__ == "__main__":
    main()
