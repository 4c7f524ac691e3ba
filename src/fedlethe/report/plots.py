# SPDX-License-Identifier: MIT
"""Plots: from values to a figure, with the table that it shows beside it.

Colours are Okabe and Ito's, which colour-blind readers tell apart; markers and line styles repeat what colours say.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedlethe.files import written_whole
from fedlethe.types import ClientId, Evaluation, Metrics, Stage, SweepPoint, TracePoint

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FORGOTTEN = "#D55E00"
ACCURACY = "test accuracy (share of images)"
AUC = "test AUC (area under the ROC curve)"

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "fedlethe",
    "svg.fonttype": "path",
}

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure and what it shows.

    Attributes:
        name: Of its files, without an ending.
        title: Stands over the figure.
        caption: One or two sentences for a reader who is no engineer.
        figure: The drawing.
        header: The CSV's column names.
        rows: The CSV's rows.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


def save(plot: Plot, folder: Path) -> Path:
    """Write NAME.png, NAME.svg and NAME.csv; the same values give the same bytes.

    Returns:
        The PNG's path.

    Raises:
        FedletheError: The folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(plot.header)
    writer.writerows(plot.rows)
    with written_whole(folder / f"{plot.name}.csv") as aside:
        aside.write_text(text.getvalue(), encoding="utf-8")
    formats: dict[str, dict[str, Any]] = {"svg": {"metadata": {"Date": None}}, "png": {"dpi": 150}}
    with mpl.rc_context(_STYLE):
        for ending, options in formats.items():
            with written_whole(folder / f"{plot.name}.{ending}") as aside:
                plot.figure.savefig(aside, format=ending, bbox_inches="tight", **options)
    return folder / f"{plot.name}.png"


def training_curve(curve: Sequence[tuple[int, Evaluation]]) -> Plot:
    """Accuracy and AUC of the global model after each round, per client and overall.

    Args:
        curve: Round and evaluation, in the order of the rounds; at least one.
    """
    title = "Training: the global model after each round"
    with _drawing(title, 2) as (figure, axes):
        rounds = [round for round, _ in curve]
        _both_metrics(axes, rounds, [evaluation for _, evaluation in curve], ())
        for axis in axes:
            axis.set_xlabel("round")
        _legend_below(figure, axes[0])
    rows = [(round, *row) for round, evaluation in curve for row in _metric_rows(evaluation)]
    caption = "Each line is one hospital's test images; the thick line is all of them together."
    return Plot("training", title, caption, figure, ("round", *_METRIC_HEADER), rows)


def erasure_stages(stages: Sequence[Stage], forget: Sequence[ClientId]) -> Plot:
    """Accuracy and AUC at each stage of an erasure, per client and overall.

    Args:
        stages: In their order; at least one.
        forget: The erased clients.
    """
    title = f"Erasing {', '.join(forget)}: the model at each stage"
    with _drawing(title, 2) as (figure, axes):
        positions = list(range(len(stages)))
        _both_metrics(axes, positions, [stage.evaluation for stage in stages], forget)
        for axis in axes:
            axis.set_xticks(positions, [stage.name for stage in stages], rotation=20, ha="right")
            axis.set_xlabel("stage")
        _legend_below(figure, axes[0])
    rows = [(stage.name, *row) for stage in stages for row in _metric_rows(stage.evaluation)]
    caption = (
        "Each line is one hospital's test images; the dashed line is the erased hospital's, the thick one all of them. "
        "The model should stay useful for those who remain."
    )
    return Plot("stages", title, caption, figure, ("stage", *_METRIC_HEADER), rows)


def sweep(points: Sequence[SweepPoint], untouched: Evaluation) -> Plot:
    """Accuracy against the noise's sigma, one panel for each erased client, with the spread over draws.

    Args:
        points: Every client, sigma and draw.
        untouched: The trained model, nothing erased.
    """
    title = "Accuracy against noise, each hospital erased in turn"
    clients = sorted({point.client for point in points})
    with _drawing(title, len(clients), columns=3, share=True) as (figure, axes):
        for client, axis in zip(clients, axes, strict=True):
            own = [point for point in points if point.client == client]
            _band(axis, own, lambda point: point.evaluation.overall.accuracy, PALETTE[0], "o-", "all test images")
            if client in untouched.clients:
                _band(axis, own, _own_accuracy, FORGOTTEN, "s--", "the erased hospital's own")
            axis.axhline(untouched.overall.accuracy, color="black", linestyle=":", label="nothing erased, all images")
            axis.set_title(f"{client} erased")
            axis.set_xlabel("noise sigma (per weight)")
        for axis in axes[::3]:
            axis.set_ylabel("test accuracy")
        _legend_below(figure, axes[0])
    header = ("client", "sigma", "draw", "accuracy", "balanced_accuracy", "auc", "own_accuracy")
    rows = [
        (point.client, point.sigma, point.draw, *_values(point.evaluation.overall), _own_accuracy(point))
        for point in points
    ]
    caption = (
        "The hospital's influence is subtracted, noise is added to every weight, and nothing is repaired. "
        "Lines are means over draws of the noise, bands reach from the least to the most."
    )
    return Plot("sweep", title, caption, figure, header, rows)


def trace_global(points: Sequence[TracePoint], client: ClientId) -> Plot:
    """Accuracy of the global model by round: the paper's first plot.

    Args:
        points: In the order of the rounds; round 0 is the initial model.
        client: The client of the trace.
    """
    title = "The global model by round"
    with _drawing(title, 1) as (figure, (axis,)):
        rounds = [point.round for point in points]
        _line(axis, rounds, [point.trained.overall.accuracy for point in points], PALETTE[0], "o-", "all test images")
        if client in points[0].trained.clients:
            own = [point.trained.clients[client].accuracy for point in points]
            _line(axis, rounds, own, FORGOTTEN, "s--", f"{client}'s own")
        axis.set_xlabel("round")
        axis.set_ylabel(ACCURACY)
        _legend_below(figure, axis)
    rows = [(point.round, *row) for point in points for row in _metric_rows(point.trained)]
    caption = f"All hospitals train; {client} is one of them."
    return Plot(f"trace-{client}-global", title, caption, figure, ("round", *_METRIC_HEADER), rows)


def trace_unlearned(points: Sequence[TracePoint], client: ClientId) -> Plot:
    """Accuracy of the global model and of the unlearned one, by round: the paper's second plot."""
    title = f"{client} erased after every round"
    with _drawing(title, 1) as (figure, (axis,)):
        rounds = [point.round for point in points]
        _line(axis, rounds, [point.trained.overall.accuracy for point in points], PALETTE[0], "o-", "global model")
        _line(axis, rounds, [point.unlearned.overall.accuracy for point in points], FORGOTTEN, "s--", "unlearned")
        axis.set_xlabel("round up to which the client is erased")
        axis.set_ylabel(ACCURACY)
        _legend_below(figure, axis)
    rows = [
        (point.round, model, *row)
        for point in points
        for model, evaluation in (("global", point.trained), ("unlearned", point.unlearned))
        for row in _metric_rows(evaluation)
    ]
    caption = f"At each round, {client} is taken out of the model as if training had ended there; nothing is repaired."
    return Plot(f"trace-{client}-unlearned", title, caption, figure, ("round", "model", *_METRIC_HEADER), rows)


def class_mix(counts: Mapping[ClientId, Mapping[str, int]]) -> Plot:
    """Training images of each client, by class.

    Args:
        counts: Client to class to number of images.
    """
    title = "Who holds what: training images by class"
    clients = list(counts)
    classes = list(next(iter(counts.values())))
    with _drawing(title, 1, height=1.0 + 0.4 * len(clients)) as (figure, (axis,)):
        left = np.zeros(len(clients))
        for index, name in enumerate(classes):
            held = np.array([counts[client][name] for client in clients])
            hatch = ("", "///", "...", "xxx")[index % 4]
            colour = PALETTE[index % len(PALETTE)]
            axis.barh(clients, held, left=left, color=colour, edgecolor="white", hatch=hatch, label=name)
            left += held
        axis.invert_yaxis()
        axis.set_xlabel("images")
        axis.grid(axis="y", visible=False)
        _legend_below(figure, axis)
    rows = [(client, name, counts[client][name]) for client in clients for name in classes]
    caption = "The training images of each hospital; its test images are kept apart."
    return Plot("class-mix", title, caption, figure, ("client", "class", "images"), rows)


def contact_sheet(images: Mapping[ClientId, Mapping[str, npt.NDArray[np.uint8]]]) -> Plot:
    """Some images of each client and class.

    Args:
        images: Client to class to uint8 images, shape (n, C, H, W); C is 1 or 3.
    """
    title = "Some images of each hospital"
    classes = list(next(iter(images.values())))
    widest = [max(len(held[name]) for held in images.values()) for name in classes]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(0.5 + 0.95 * sum(widest), 0.6 + 0.95 * len(images)), layout="constrained")
        figure.suptitle(title)
        grid = figure.subplots(len(images), sum(widest), squeeze=False)
        for (client, held), row in zip(images.items(), grid, strict=True):
            shown = [image for name, width in zip(classes, widest, strict=True) for image in _padded(held[name], width)]
            for axis, image in zip(row, shown, strict=True):
                _show(axis, image)
            row[0].set_ylabel(client, rotation=0, ha="right", va="center")
        for name, start in zip(classes, np.cumsum([0, *widest[:-1]]), strict=True):
            grid[0, start].set_title(name, loc="left")
    rows = [(client, name, len(held[name])) for client, held in images.items() for name in classes]
    caption = "A few training images of each hospital, by class, as the model gets them."
    return Plot("images", title, caption, figure, ("client", "class", "images shown"), rows)


_METRIC_HEADER = ("client", "images", "accuracy", "balanced_accuracy", "auc")


def _values(metrics: Metrics) -> tuple[float, float, float | None]:
    return metrics.accuracy, metrics.balanced_accuracy, metrics.auc


def _metric_rows(evaluation: Evaluation) -> Iterator[tuple[Cell, ...]]:
    for client, metrics in [*evaluation.clients.items(), ("all", evaluation.overall)]:
        yield client, metrics.num_examples, *_values(metrics)


@contextmanager
def _drawing(
    title: str, panels: int, columns: int = 2, share: bool = False, height: float = 3.4
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with so many panels, in rows of `columns`."""
    columns = min(panels, columns)
    rows = -(-panels // columns)
    width = 6.4 if columns == 1 else 4.6 * columns if columns == 2 else 3.3 * columns
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height * rows if columns < 3 else 2.7 * rows), layout="constrained")
        figure.suptitle(title, fontsize=12)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
        axes = list(grid.flat)
        for spare in axes[panels:]:
            spare.remove()
        if share:
            for axis in axes[:panels]:
                axis.tick_params(labelbottom=True)
        yield figure, axes[:panels]


def _legend_below(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))


def _both_metrics(
    axes: Sequence[Axes], x: Sequence[int], evaluations: Sequence[Evaluation], forget: Sequence[ClientId]
) -> None:
    _metric_lines(axes[0], x, evaluations, forget, lambda metrics: metrics.accuracy)
    _metric_lines(axes[1], x, evaluations, forget, lambda metrics: metrics.auc)
    axes[0].set_ylabel(ACCURACY)
    axes[1].set_ylabel(AUC)


def _metric_lines(
    axis: Axes,
    x: Sequence[int],
    evaluations: Sequence[Evaluation],
    forget: Sequence[ClientId],
    value: Callable[[Metrics], float | None],
) -> None:
    for index, client in enumerate(evaluations[0].clients):
        gone = client in forget
        colour = FORGOTTEN if gone else [shade for shade in PALETTE if shade != FORGOTTEN][index % 7]
        style = f"{MARKERS[index % len(MARKERS)]}{'--' if gone else '-'}"
        y = [value(evaluation.clients[client]) for evaluation in evaluations]
        label = f"{client} (erased)" if gone else client
        _line(axis, x, y, colour, style, label, linewidth=1.8 if gone else 1.0, markersize=4)
    _line(axis, x, [value(evaluation.overall) for evaluation in evaluations], "black", "-", "all", linewidth=2.8)


def _line(
    axis: Axes, x: Sequence[int], y: Sequence[float | None], colour: str, style: str, label: str, **options: Any
) -> None:
    heights = [np.nan if height is None else height for height in y]
    axis.plot(x, heights, style, color=colour, label=label, **options)
    if all(isinstance(place, int) for place in x):
        axis.xaxis.get_major_locator().set_params(integer=True)


def _band(
    axis: Axes,
    points: Sequence[SweepPoint],
    value: Callable[[SweepPoint], float | None],
    colour: str,
    style: str,
    label: str,
) -> None:
    """Mean over draws as a line, least to most as a band."""
    sigmas = sorted({point.sigma for point in points})
    drawn = [[float(value(point) or 0) for point in points if point.sigma == sigma] for sigma in sigmas]
    axis.fill_between(sigmas, [min(y) for y in drawn], [max(y) for y in drawn], color=colour, alpha=0.2, linewidth=0)
    axis.plot(sigmas, [float(np.mean(y)) for y in drawn], style, color=colour, markersize=4, label=label)


def _own_accuracy(point: SweepPoint) -> float | None:
    own = point.evaluation.clients.get(point.client)
    return None if own is None else own.accuracy


def _padded(images: npt.NDArray[np.uint8], width: int) -> list[npt.NDArray[np.uint8] | None]:
    return [*images, *[None] * (width - len(images))]


def _show(axis: Axes, image: npt.NDArray[np.uint8] | None) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if image is not None:
        gray = image.shape[0] == 1
        axis.imshow(image[0] if gray else image.transpose(1, 2, 0), cmap="gray" if gray else None, vmin=0, vmax=255)
