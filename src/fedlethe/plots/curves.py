# SPDX-License-Identifier: MIT
"""Plots: from values to a figure, with the table that it shows beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.plots.style import (
    ERASED,
    FILLS,
    HATCHES,
    LINES,
    MARKERS,
    Cell,
    Plot,
    blank,
    legend_below,
    legend_label,
    panels,
    save,
    small_panels,
    styled,
    whole_numbers,
)
from fedlethe.types import ClientId, Evaluation, Metrics, Stage, SweepPoint, TracePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "OVERALL",
    "Plot",
    "class_mix",
    "contact_sheet",
    "erasure_stages",
    "save",
    "sweep",
    "trace_global",
    "trace_unlearned",
    "training_curve",
]

OVERALL = "all hospitals"
"""Stands for every client's images pooled, in legends and tables; the blank keeps it apart from any client's name."""

SHARE = "test accuracy\n(share of images)"
SIGMA = "noise sigma\n(standard deviation per weight)"
ACROSS = 16
"""Images beside each other on a contact sheet, at most: more would be too small to see."""

_METRIC_HEADER = ("client", "images", "accuracy", "balanced_accuracy", "auc")

_Spread: TypeAlias = "tuple[float, float, float] | tuple[None, None, None]"


def training_curve(curve: Sequence[tuple[int, Evaluation]]) -> Plot:
    """Accuracy and AUC of the global model after each round, per client and overall.

    Args:
        curve: Round and evaluation, in the order of the rounds; at least one.
    """
    title = "Training: the shared model after each round"
    with styled():
        figure, axes = panels(title, 2)
        _both_metrics(axes, [round for round, _ in curve], [evaluation for _, evaluation in curve], ())
        whole_numbers(axes)
        for axis in axes:
            axis.set_xlabel("round of training")
        legend_below(figure, axes[0])
    rows = [(round, *row) for round, evaluation in curve for row in _metric_rows(evaluation)]
    caption = (
        "How well the shared model reads test images, round by round. Each thin line is one hospital's test images; "
        "the thick black line is all of them together."
    )
    return Plot("training", title, caption, figure, ("round", *_METRIC_HEADER), rows)


def erasure_stages(stages: Sequence[Stage], forget: Sequence[ClientId]) -> Plot:
    """Accuracy and AUC at each stage of an erasure, per client and overall.

    Args:
        stages: In their order; at least one.
        forget: The erased clients.
    """
    title = f"Erasing {', '.join(forget)}: the model at each stage"
    with styled():
        figure, axes = panels("\n".join(textwrap.wrap(title, 90)), 2)
        places = list(range(len(stages)))
        _both_metrics(axes, places, [stage.evaluation for stage in stages], forget)
        for axis in axes:
            names = [stage.name for stage in stages]
            axis.set_xticks(places, names, rotation=25, ha="right", rotation_mode="anchor")
            axis.set_xlabel("stage of the erasure")
        legend_below(figure, axes[0])
    rows = [(stage.name, *row) for stage in stages for row in _metric_rows(stage.evaluation)]
    caption = (
        "How well the model reads test images after each step. The dashed line is the erased hospital's own images, "
        "the thick black line all hospitals together. The model should stay useful for those who remain."
    )
    return Plot("stages", title, caption, figure, ("stage", *_METRIC_HEADER), rows)


def sweep(points: Sequence[SweepPoint], untouched: Evaluation) -> Plot:
    """Accuracy against the noise's sigma, one panel for each erased client, with the spread over draws.

    Args:
        points: Every client, sigma and draw; at least one.
        untouched: The trained model, nothing erased.
    """
    title = "Accuracy against noise, each hospital erased in turn"
    clients = list(dict.fromkeys(point.client for point in points))
    from matplotlib.ticker import MaxNLocator

    rows: list[tuple[Cell, ...]] = []
    with styled():
        figure, axes = small_panels(title, len(clients), SIGMA, SHARE)
        for client, axis in zip(clients, axes, strict=True):
            own = [point for point in points if point.client == client]
            sigmas = sorted({point.sigma for point in own})
            pooled = [_spread(_overall_accuracy(point) for point in own if point.sigma == sigma) for sigma in sigmas]
            local = [_spread(_own_accuracy(point) for point in own if point.sigma == sigma) for sigma in sigmas]
            _band(axis, sigmas, pooled, LINES[0], "o-", "all test images")
            _band(axis, sigmas, local, ERASED, "s--", "the erased hospital's own")
            before = untouched.overall.accuracy
            axis.axhline(before, color="black", linestyle=":", label="before: nothing erased, no noise")
            axis.set_title(f"{client} erased", loc="left")
            draws = [sum(point.sigma == sigma for point in own) for sigma in sigmas]
            lines = zip(sigmas, draws, pooled, local, strict=True)
            rows += [(client, sigma, drawn, *all_, *its, before) for sigma, drawn, all_, its in lines]
        axes[0].xaxis.set_major_locator(MaxNLocator(nbins=4))
        legend_below(figure, axes[0])
    spread = ("mean", "min", "max")
    header = ("client", "sigma", "draws", *(f"accuracy_{what}" for what in spread))
    header += (*(f"own_accuracy_{what}" for what in spread), "untouched_accuracy")
    caption = (
        "In each panel one hospital is taken out of the model, and noise is added to every weight to hide who left; "
        "nothing is repaired afterwards. Lines are means over several draws of the noise; bands reach from the lowest "
        "to the highest draw."
    )
    return Plot("sweep", title, caption, figure, header, rows)


def trace_global(points: Sequence[TracePoint], client: ClientId) -> Plot:
    """Accuracy of the global model by round: the paper's first plot.

    Args:
        points: In the order of the rounds; round 0 is the initial model. At least one.
        client: The client of the trace.
    """
    title = f"The shared model by round, {client} taking part"
    with styled():
        figure, (axis,) = panels(title, 1)
        rounds = [point.round for point in points]
        overall = [point.trained.overall.accuracy for point in points]
        _line(axis, rounds, overall, LINES[0], "o-", "all hospitals' test images")
        if any(client in point.trained.clients for point in points):
            own = [_of(point.trained, client, _accuracy) for point in points]
            _line(axis, rounds, own, ERASED, "s--", f"{client}'s own test images")
        whole_numbers([axis])
        axis.set_xlabel("round of training")
        axis.set_ylabel(SHARE)
        legend_below(figure, axis)
    rows = [(point.round, *row) for point in points for row in _metric_rows(point.trained)]
    caption = f"All hospitals train; {client} is one of them. Round 0 is the model before any training."
    return Plot(f"trace-{client}-global", title, caption, figure, ("round", *_METRIC_HEADER), rows)


def trace_unlearned(points: Sequence[TracePoint], client: ClientId) -> Plot:
    """Accuracy of the global model and of the unlearned one, by round: the paper's second plot.

    Args:
        points: In the order of the rounds; round 0 is the initial model. At least one.
        client: The client that is erased up to each round.
    """
    title = f"{client} erased after every round"
    with styled():
        figure, (axis,) = panels(title, 1)
        rounds = [point.round for point in points]
        trained = [point.trained.overall.accuracy for point in points]
        unlearned = [point.unlearned.overall.accuracy for point in points]
        _line(axis, rounds, trained, LINES[0], "o-", f"with {client}")
        _line(axis, rounds, unlearned, ERASED, "s--", f"{client} erased")
        whole_numbers([axis])
        axis.set_xlabel("round up to which the hospital is erased")
        axis.set_ylabel(SHARE)
        legend_below(figure, axis)
    rows = [
        (point.round, model, *row)
        for point in points
        for model, evaluation in (("global", point.trained), ("unlearned", point.unlearned))
        for row in _metric_rows(evaluation)
    ]
    caption = (
        f"At each round, {client} is taken out of the model as if training had ended there; nothing is repaired. "
        "Both lines are measured on all hospitals' test images."
    )
    return Plot(f"trace-{client}-unlearned", title, caption, figure, ("round", "model", *_METRIC_HEADER), rows)


def class_mix(counts: Mapping[ClientId, Mapping[str, int]]) -> Plot:
    """Training images of each client, by class.

    Args:
        counts: Client to class to number of images; at least one client.
    """
    title = "Who holds what: training images by class"
    clients = list(counts)
    classes = list(dict.fromkeys(name for held in counts.values() for name in held))
    with styled():
        figure = blank(title, 8.0, 1.8 + 0.36 * len(clients))
        axis = figure.subplots()
        left = np.zeros(len(clients))
        for index, name in enumerate(classes):
            held = np.array([counts[client].get(name, 0) for client in clients])
            bars = axis.barh(range(len(clients)), held, left=left, label=legend_label(name), edgecolor="white")
            for bar in bars:
                bar.set(facecolor=FILLS[index % len(FILLS)], hatch=HATCHES[index % len(HATCHES)])
            left += held
        for place, total in enumerate(left):
            axis.annotate(f"{total:,.0f}", (total, place), (4, 0), textcoords="offset points", va="center")
        axis.set_yticks(range(len(clients)), clients)
        axis.set_xlim(0, 1.1 * max(left.max(), 1))
        axis.set_ylim(len(clients) - 0.4, -0.6)
        axis.set_xlabel("training images (number)")
        axis.set_ylabel("hospital")
        axis.grid(axis="y", visible=False)
        legend_below(figure, axis)
    rows = [(client, name, counts[client].get(name, 0)) for client in clients for name in classes]
    caption = "The training images of each hospital; a bar's end shows their sum. Test images are kept apart."
    return Plot("class-mix", title, caption, figure, ("client", "class", "images"), rows)


def contact_sheet(images: Mapping[ClientId, Mapping[str, npt.NDArray[np.uint8]]]) -> Plot:
    """Some images of each client and class, no more than fit beside each other.

    Args:
        images: Client to class to uint8 images, shape (n, C, H, W); C is 1 or 3. At least one client and class.
    """
    title = "Some training images of each hospital"
    classes = list(dict.fromkeys(name for held in images.values() for name in held))
    most = max(1, ACROSS // len(classes))
    shown = {client: {name: held[name][:most] for name in classes if name in held} for client, held in images.items()}
    widths = [max(1, *(len(held.get(name, ())) for held in shown.values())) for name in classes]
    size = min(0.9, 8.2 / sum(widths))
    with styled():
        figure = blank(title, 1.4 + size * sum(widths), 0.8 + (size + 0.05) * len(images), gaps=0.03)
        grid = figure.subplots(len(images), len(classes), squeeze=False, width_ratios=widths)
        for (client, held), row in zip(shown.items(), grid, strict=True):
            for name, width, axis in zip(classes, widths, row, strict=True):
                _strip(axis, held.get(name), width)
            row[0].set_ylabel(client, rotation=0, ha="right", va="center")
        for name, width, axis in zip(classes, widths, grid[0], strict=True):
            axis.set_title("\n".join(textwrap.wrap(name, max(8, int(11 * size * width)))), loc="left")
    rows = [(client, name, len(held.get(name, ()))) for client, held in shown.items() for name in classes]
    caption = "A few training images of each hospital, by class, as the model gets them."
    return Plot("images", title, caption, figure, ("client", "class", "images_shown"), rows)


def _accuracy(metrics: Metrics) -> float:
    return metrics.accuracy


def _auc(metrics: Metrics) -> float | None:
    return metrics.auc


def _of(evaluation: Evaluation, client: ClientId, value: Callable[[Metrics], float | None]) -> float | None:
    """A client's value; None where it was not evaluated."""
    metrics = evaluation.clients.get(client)
    return None if metrics is None else value(metrics)


def _overall_accuracy(point: SweepPoint) -> float | None:
    return point.evaluation.overall.accuracy


def _own_accuracy(point: SweepPoint) -> float | None:
    return _of(point.evaluation, point.client, _accuracy)


def _metric_rows(evaluation: Evaluation) -> Iterator[tuple[Cell, ...]]:
    for client, metrics in [*evaluation.clients.items(), (OVERALL, evaluation.overall)]:
        yield client, metrics.num_examples, metrics.accuracy, metrics.balanced_accuracy, metrics.auc


def _both_metrics(
    axes: Sequence[Axes], x: Sequence[int], evaluations: Sequence[Evaluation], forget: Sequence[ClientId]
) -> None:
    _metric_lines(axes[0], x, evaluations, forget, _accuracy)
    _metric_lines(axes[1], x, evaluations, forget, _auc)
    axes[0].set_ylabel(SHARE)
    axes[1].set_ylabel("test AUC\n(area under the ROC curve)")


def _metric_lines(
    axis: Axes,
    x: Sequence[int],
    evaluations: Sequence[Evaluation],
    forget: Sequence[ClientId],
    value: Callable[[Metrics], float | None],
) -> None:
    """A thin line per client, a dashed one per erased client, a thick one for all."""
    clients = dict.fromkeys(client for evaluation in evaluations for client in evaluation.clients)
    for index, client in enumerate(clients):
        y = [_of(evaluation, client, value) for evaluation in evaluations]
        marker = MARKERS[index % len(MARKERS)]
        if client in forget:
            _line(axis, x, y, ERASED, f"{marker}--", f"{client} (erased)", linewidth=2.2, markersize=6, zorder=4)
        else:
            dashes = ("-", "-.", ":")[index // len(LINES) % 3]
            _line(axis, x, y, LINES[index % len(LINES)], marker + dashes, client, linewidth=1.1, markersize=4)
    overall = [value(evaluation.overall) for evaluation in evaluations]
    _line(axis, x, overall, "black", "o-", OVERALL, linewidth=3, markersize=5, zorder=3)


def _line(
    axis: Axes, x: Sequence[int], y: Sequence[float | None], colour: str, style: str, label: str, **options: Any
) -> None:
    """A line with a gap where a value is not defined, and about twenty markers however long it is."""
    heights = [np.nan if height is None else height for height in y]
    every = max(1, len(x) // 20)
    axis.plot(x, heights, style, color=colour, label=legend_label(label), markevery=every, **options)


def _spread(values: Iterable[float | None]) -> _Spread:
    """Mean, least and most of those that are there."""
    there = [value for value in values if value is not None]
    return (fmean(there), min(there), max(there)) if there else (None, None, None)


def _band(axis: Axes, x: Sequence[float], spreads: Sequence[_Spread], colour: str, style: str, label: str) -> None:
    """Means as a line, least to most as a band."""
    mean, least, most = np.array(spreads, dtype=np.float64).T  # None becomes NaN: a gap
    axis.fill_between(x, least, most, color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, mean, style, color=colour, markersize=4, label=label)


def _strip(axis: Axes, images: npt.NDArray[np.uint8] | None, width: int) -> None:
    """So many images side by side; white where there are fewer."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    if images is None or not len(images):
        axis.text(0, 0.5, "none", transform=axis.transAxes, va="center", color="#555555")
        return
    pixels = images.repeat(3, axis=1) if images.shape[1] == 1 else images  # (n, 3, H, W)
    gap = max(1, pixels.shape[3] // 16)
    count, channels, height, across = pixels.shape
    sheet = np.full((height, width * (across + gap) - gap, channels), 255, dtype=np.uint8)
    for index in range(count):
        start = index * (across + gap)
        sheet[:, start : start + across] = pixels[index].transpose(1, 2, 0)
    axis.imshow(sheet, interpolation="nearest" if across < 64 else "antialiased")
