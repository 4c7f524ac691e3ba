# SPDX-License-Identifier: MIT
"""Lines of accuracy and AUC, one for each client and one for all, with the rows of the table beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fedlethe.plots.style import (
    ERASED,
    LINES,
    MARKERS,
    Cell,
    legend_label,
)
from fedlethe.types import ClientId, Evaluation, Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes


OVERALL = "all hospitals"
"""Stands for every client's images pooled, in legends and tables; the blank keeps it apart from any client's name."""

RETAINED = "retained hospitals"
"""Stands for the images of all but the erased clients."""

SHARE = "test accuracy\n(share of images)"

METRIC_HEADER = (
    "client",
    "images",
    "accuracy",
    "balanced_accuracy",
    "auc",
    "auc_low",
    "auc_high",
    "sensitivity",
    "specificity",
    "calibration_error",
    "commonest",
)


def accuracy_of(metrics: Metrics) -> float:
    """The share of images that are read rightly."""
    return metrics.accuracy


def _auc(metrics: Metrics) -> float | None:
    return metrics.auc


def value_of(evaluation: Evaluation, client: ClientId, value: Callable[[Metrics], float | None]) -> float | None:
    """A client's value; None where it was not evaluated."""
    metrics = evaluation.clients.get(client)
    return None if metrics is None else value(metrics)


def metric_rows(evaluation: Evaluation) -> Iterator[tuple[Cell, ...]]:
    """A row of METRIC_HEADER for each client, one for all of them, and one for all but the erased ones."""
    held = [*evaluation.clients.items(), (OVERALL, evaluation.overall)]
    if evaluation.retained is not None:
        held.append((RETAINED, evaluation.retained))
    for client, metrics in held:
        low, high = metrics.auc_interval or (None, None)
        figures = (metrics.accuracy, metrics.balanced_accuracy, metrics.auc, low, high)
        others = (metrics.sensitivity, metrics.specificity, metrics.calibration, metrics.commonest)
        yield client, metrics.num_examples, *figures, *others


def both_metrics(
    axes: Sequence[Axes], x: Sequence[int], evaluations: Sequence[Evaluation], forget: Sequence[ClientId]
) -> None:
    """Accuracy in the first panel and AUC in the second one.

    Args:
        axes: The two panels.
        x: Where each evaluation stands.
        evaluations: As many; a client that one lacks is a gap there.
        forget: The clients whose lines are drawn as erased.
    """
    _metric_lines(axes[0], x, evaluations, forget, accuracy_of)
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
        y = [value_of(evaluation, client, value) for evaluation in evaluations]
        marker = MARKERS[index % len(MARKERS)]
        if client in forget:
            value_line(axis, x, y, ERASED, f"{marker}--", f"{client} (erased)", linewidth=2.2, markersize=6, zorder=4)
        else:
            dashes = ("-", "-.", ":")[index // len(LINES) % 3]
            value_line(axis, x, y, LINES[index % len(LINES)], marker + dashes, client, linewidth=1.1, markersize=4)
    overall = [value(evaluation.overall) for evaluation in evaluations]
    value_line(axis, x, overall, "black", "o-", OVERALL, linewidth=3, markersize=5, zorder=3)


def value_line(
    axis: Axes, x: Sequence[int], y: Sequence[float | None], colour: str, style: str, label: str, **options: Any
) -> None:
    """A line with a gap where a value is not defined, and about twenty markers however long it is."""
    heights = [np.nan if height is None else height for height in y]
    every = max(1, len(x) // 20)
    axis.plot(x, heights, style, color=colour, label=legend_label(label), markevery=every, **options)
