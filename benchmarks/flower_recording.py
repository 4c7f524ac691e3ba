# SPDX-License-Identifier: MIT
"""What recording adds to a round of a Flower app of one's own: the same rounds with `Recording` and without, in turn.

    python benchmarks/flower_recording.py

Three clients train a network for an epoch on synthetic radiographs, one after the other in this process, so that a
round is its clients' work and nothing else. On machines of their own clients train side by side, but there a round also
has messages, and a process that starts for each of them: what it came to is in a run's ledger (`fedlethe report RUN`).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg, Strategy

from fedlethe.config import resolve  # a federation without a run folder: the app around it is what is measured
from fedlethe.flower import LocalGrid, LocalNode, Recording, named  # the public face of Flower apps
from fedlethe.runs.preparing import prepare  # as above
from fedlethe.runs.run import Prepared  # as above, for its type
from fedlethe.vector import to_vector  # a state dict of the network, as an app has it

Keep: TypeAlias = Literal["needed", "everything"]
ROUNDS, TURNS = 2, 2
KINDS = ("Wall time", "CPU time")
SETTINGS = (
    ("small-cnn, 75 thousand parameters", {"name": "small-cnn"}, {"size": 48, "images_per_hospital": 400}),
    ("resnet18, 11 million parameters", {"name": "resnet18"}, {"size": 64, "images_per_hospital": 1000}),
    ("resnet18, clients that hardly train", {"name": "resnet18"}, {"size": 64, "images_per_hospital": 20}),
)


def torch_app(prepared: Prepared) -> ClientApp:
    """A ClientApp as Flower users write them: a state dict comes, is trained, and goes back."""
    app = named(ClientApp())

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = f"hospital-{context.node_config['partition-id']}"
        vector, views = torch.empty(prepared.layout.size), message.content.array_records["arrays"]
        for name, view in prepared.layout.tensors(vector).items():
            view.copy_(torch.from_numpy(views[name].numpy().copy()))
        (update,) = prepared.federation().train(vector, (client,), round=1)
        content = RecordDict({"arrays": arrays(prepared, update.model)})
        content["metrics"] = MetricRecord({"num-examples": update.num_examples})
        return Message(content, reply_to=message)

    return app


def arrays(prepared: Prepared, vector: torch.Tensor) -> ArrayRecord:
    """A vector as a state dict."""
    views = prepared.layout.tensors(vector)
    return ArrayRecord({name: Array(np.ascontiguousarray(view.numpy())) for name, view in views.items()})


def seconds(prepared: Prepared, wrap: Callable[[Strategy], Strategy]) -> tuple[float, float]:
    """Wall time and CPU time of a round; the first holds waits for the disk, the second no other program's work."""
    grid = LocalGrid(torch_app(prepared), [LocalNode({"partition-id": number}) for number in range(3)], {})
    strategy = wrap(FedAvg(fraction_evaluate=0.0))
    initial = arrays(prepared, to_vector(prepared.network, prepared.layout))
    wall, cpu = time.perf_counter(), time.process_time()
    strategy.start(grid, initial, num_rounds=ROUNDS)
    return (time.perf_counter() - wall) / ROUNDS, (time.process_time() - cpu) / ROUNDS


def share(name: str, place: int, bare: Sequence[tuple[float, float]], times: Sequence[tuple[float, float]]) -> str:
    """What recording adds to the median round, in words."""
    without, recorded = (statistics.median(one[place] for one in measured) for measured in (bare, times))
    added = recorded - without
    return f"{name} {without:.2f} s a round, recording adds {added:+.2f} s, {added / without:+.1%}."


def main() -> None:
    """Measure, and print one line for each network and what is kept."""
    import logging

    logging.getLogger("flwr").setLevel(logging.ERROR)
    for title, model, data in SETTINGS:
        prepared = prepare(resolve({"model": model, "data": {"source": "phantom", "hospitals": 3, **data}}))
        seconds(prepared, lambda strategy: strategy)  # the first one warms up
        bare: list[tuple[float, float]] = []
        recorded: dict[Keep, list[tuple[float, float]]] = {"needed": [], "everything": []}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(TURNS):
                bare.append(seconds(prepared, lambda strategy: strategy))
                for keep, times in recorded.items():
                    times.append(seconds(prepared, partial(Recording, run=Path(folder) / f"{keep}-{turn}", keep=keep)))
        for keep, times in recorded.items():
            print(f"{title}, keep = {keep}:", *(share(name, place, bare, times) for place, name in enumerate(KINDS)))


if __name__ == "__main__":
    main()
