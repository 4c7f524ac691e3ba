# SPDX-License-Identifier: MIT
"""Every picture, drawn of small values, and what can be read off it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.lines import Line2D

from fedlethe.plots import accuracy_curves, images_held, noise_sweep, round_traces
from fedlethe.plots.style import Plot
from fedlethe.types import Cost, Evaluation, Metrics, Stage, SweepPoint, TracePoint

STAGES = ("before", "unlearned", "masked", "repaired 1")


def metrics(accuracy: float, auc: float | None = 0.75) -> Metrics:
    return Metrics(40, accuracy, accuracy / 2, auc)


def evaluation(clients: Sequence[str], accuracy: float) -> Evaluation:
    """Client by client .01 better than the last; the last one's images are of one class, so its AUC is not defined."""
    held = {name: metrics(accuracy + 0.01 * place, 0.8) for place, name in enumerate(clients)}
    held[clients[-1]] = metrics(accuracy, None)
    return Evaluation(metrics(accuracy), held)


def training(clients: Sequence[str]) -> Plot:
    return accuracy_curves.training_curve([(round, evaluation(clients, 0.5 + round / 10)) for round in range(4)])


def stages(clients: Sequence[str]) -> Plot:
    return accuracy_curves.erasure_stages(
        [Stage(name, evaluation(clients, 0.7), Cost()) for name in STAGES], clients[:1]
    )


def swept(clients: Sequence[str]) -> Plot:
    points = [
        SweepPoint(client, sigma, draw, evaluation(clients, 0.8 - 10 * sigma - 0.02 * draw))
        for client in clients
        for sigma in (0.0, 0.01, 0.03)
        for draw in range(3 if sigma else 1)
    ]
    return noise_sweep.sweep(points, evaluation(clients, 0.9))


def trace_points(clients: Sequence[str]) -> list[TracePoint]:
    rounds = range(3)
    return [TracePoint(r, evaluation(clients, 0.5 + r / 10), evaluation(clients, 0.5 + r / 20)) for r in rounds]


def mixed(clients: Sequence[str]) -> Plot:
    return images_held.class_mix({name: {"normal": 10 + place, "sick": 3} for place, name in enumerate(clients)})


def sheet(clients: Sequence[str]) -> Plot:
    pixels = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 1, 8, 8)
    return images_held.contact_sheet({name: {"normal": pixels, "sick": pixels[:1]} for name in clients})


EVERY: dict[str, Callable[[Sequence[str]], Plot]] = {
    "training": training,
    "stages": stages,
    "sweep": swept,
    "trace-global": lambda clients: round_traces.trace_global(trace_points(clients), clients[0]),
    "trace-unlearned": lambda clients: round_traces.trace_unlearned(trace_points(clients), clients[0]),
    "class-mix": mixed,
    "images": sheet,
}

CLIENTS = {
    "one": ["alone"],
    "five": ["a", "_b", "c$d$", "e" * 30, "all"],
    "ten": [f"site-{number}" for number in range(10)],
}


def legend_names(plot: Plot) -> list[str]:
    (legend,) = plot.figure.legends
    return [text.get_text().strip() for text in legend.get_texts()]


def heights(line: Line2D) -> list[float]:
    return [float(height) for height in np.asarray(line.get_ydata(), dtype=float)]
