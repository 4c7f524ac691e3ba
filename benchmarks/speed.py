# SPDX-License-Identifier: MIT
"""Speed and bytes, each as a ratio within this one run: `make bench`.

The figures, with the bound that the project holds itself to:
1. Training images/s of ResNet-50 at 1 x 128 x 128 against the common recipe (contiguous NCHW, float32, PIL decoding of
   each item in a DataLoader), at batch 32 and at the paper's 16, the two measured in turn.
2. The share of training time that recording takes, on a federation with the history that `influence` needs.
3. An influence erasure of ResNet-50 against reading and writing the same bytes.
4. The history's bytes for `influence` against `--keep everything`, 15 rounds x 5 clients.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import fedlethe
from fedlethe.data.federated import Examples  # what `train_locally` takes
from fedlethe.federation.client import LocalTraining, train_locally  # one client's epoch, without a round around it
from fedlethe.federation.execution import Execution  # what `train_locally` takes
from fedlethe.history import checkpoint  # writing the model is part of what is timed
from fedlethe.history.disk import RunFolder  # a history of a large model, made without training it
from fedlethe.models import initialise  # the same network for both recipes
from fedlethe.runs.run_toml import opened_folder  # the ledger's bytes of each file
from fedlethe.types import EVERYTHING, Need, RoundRecord, Update, Vector  # the rows of that history
from fedlethe.vector import Layout, to_vector  # what `train_locally` takes

SIZE, IMAGES, REPEATS = 128, 128, 3


class _PngFolder(Dataset[tuple[torch.Tensor, int]]):
    """The common recipe's data set: a PNG is opened and decoded whenever it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.png"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.open(self.paths[index]).convert("L").resize((SIZE, SIZE))
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)[None]
        return (pixels - 0.5) / 0.5, index % 2


def _common_recipe(folder: Path, batch: int) -> Callable[[], None]:
    network = initialise(fedlethe.MODELS["resnet50"](), 1, 2, seed=0).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.005)
    loader = DataLoader(_PngFolder(folder), batch_size=batch, shuffle=True)

    def epoch() -> None:
        for images, labels in loader:
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(network(images), labels))
            optimizer.step()

    return epoch


def _ours(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], batch: int) -> Callable[[], None]:
    network: nn.Module = initialise(fedlethe.MODELS["resnet50"](), 1, 2, seed=0)
    execution = Execution().resolve(network)
    network = execution.place(network)
    layout = Layout.of(network)
    model = to_vector(network, layout)
    indices = np.arange(len(pixels))
    examples = Examples(pixels, indices, indices % 2)
    settings = LocalTraining(epochs=1, batch_size=batch, learning_rate=0.005, momentum=0.0)

    def epoch() -> None:
        generator = torch.Generator().manual_seed(0)
        train_locally(
            network,
            layout,
            model,
            client="client-0",
            examples=examples,
            settings=settings,
            execution=execution,
            generator=generator,
        )

    return epoch


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def training_speed(folder: Path, batch: int) -> tuple[str, str, str]:
    """Images/s against the common recipe, median of interleaved repeats."""
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, SIZE, SIZE), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image[0]).resize((299, 299)).save(folder / f"{index:03d}.png")
    common, ours = _common_recipe(folder, batch), _ours(pixels, batch)
    _seconds(common), _seconds(ours)
    pairs = [(_seconds(common), _seconds(ours)) for _ in range(REPEATS)]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    speeds = [IMAGES / statistics.median(times) for times in zip(*pairs, strict=True)]
    return (
        f"ResNet-50 training against the common recipe, batch {batch}",
        f"{speeds[1]:.1f} / {speeds[0]:.1f} images/s",
        f"{ratio:.2f}x",
    )


def recording_share(folder: Path) -> tuple[str, str, str]:
    """Recording's share of training time, phantom data, small CNN: the hardest case, since its rounds are short."""
    trained = fedlethe.train(rounds=4, local={"epochs": 2}, out=folder / "run").trained
    assert trained is not None
    detail = f"{trained.recording_share * trained.seconds:.2f} of {trained.seconds:.1f} s"
    return "recording's share of training (small CNN)", detail, f"{100 * trained.recording_share:.2f} %"


def _resnet_history(folder: Path, keep: frozenset[Need]) -> tuple[RunFolder, Layout, Vector]:
    network = initialise(fedlethe.MODELS["resnet50"](), 1, 2, seed=0)
    layout = Layout.of(network)
    model = to_vector(network, layout)
    folder.mkdir()
    history = RunFolder(folder, ("client-0", "client-1"), keep, create=True)
    history.begin(model, layout)
    updates = {client: Update(client, model + 0.01, 1, 1, 1, 0.0) for client in history.clients}
    weights = dict.fromkeys(history.clients, 0.5)
    history.append(RoundRecord(1, model, model + 0.01, updates, weights, {}, 1.0), "{}")
    return history, layout, model


class _NobodyTrains:
    """A federation that an influence erasure never asks."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"influence asked the federation for {name}")


def erasure_speed(folder: Path) -> tuple[str, str, str]:
    """Reading, verifying, subtracting and writing, against reading and writing the same bytes."""
    history, layout, _ = _resnet_history(folder / "erasure", frozenset({Need.INITIAL, Need.INFLUENCE}))
    read = [path for path in history.path.rglob("*.safetensors") if path.name != "round_0000.safetensors"][:2]

    def erase() -> None:
        unlearned = fedlethe.METHODS["influence"]().unlearn(frozenset({"client-0"}), history, _NobodyTrains())  # type: ignore[arg-type]
        checkpoint.save(folder / "erased.safetensors", unlearned.model, layout)

    def plain() -> None:
        contents = [path.read_bytes() for path in read]
        with (folder / "plain").open("wb") as file:
            file.write(contents[0])
            os.fsync(file.fileno())

    _seconds(erase), _seconds(plain)
    pairs = [(_seconds(erase), _seconds(plain)) for _ in range(4 * REPEATS)]
    history.close()
    ratio = statistics.median(ours for ours, _ in pairs) / statistics.median(theirs for _, theirs in pairs)
    detail = f"{statistics.median(a for a, _ in pairs):.3f} / {statistics.median(b for _, b in pairs):.3f} s"
    return "influence erasure against reading and writing (ResNet-50)", detail, f"{ratio:.2f}x"


def history_bytes(folder: Path) -> tuple[str, str, str]:
    """Bytes of a real run of 15 rounds x 5 clients, small CNN; the ratio is the same for any network."""
    sizes = {}
    for keep in ("needed", "everything"):
        document = {
            "data": {"source": "phantom", "size": 16, "images_per_hospital": 20},
            "federation": {"rounds": 15},
            "history": {"keep": keep},
        }
        run = fedlethe.train(config=document, out=folder / keep)
        with opened_folder(run.path) as (_, history):
            sizes[keep] = sum(artefact.bytes for artefact in history.ledger.artefacts().values())
            assert keep != "everything" or history.keep == EVERYTHING
    detail = f"{sizes['needed']:,} / {sizes['everything']:,} bytes"
    return "history for influence against everything", detail, f"{sizes['needed'] / sizes['everything']:.3f}x"


def main() -> None:
    """Measure and print the table."""
    measures: dict[Callable[[Path], tuple[str, str, str]], str] = {
        partial(training_speed, batch=32): ">= 3x",
        partial(training_speed, batch=16): "",
        recording_share: "<= 3 %",
        erasure_speed: "<= 2x",
        history_bytes: "7 / 96 models",
    }
    title = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("what", "measured", "ratio", "bound", title=title)
    for measure, bound in measures.items():
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measure(Path(folder)), bound)
    Console().print(table)


if __name__ == "__main__":
    main()
