# SPDX-License-Identifier: MIT
"""Accuracy against the noise of an erasure, each client erased in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fedlethe.plots.metric_lines import SHARE, accuracy_of, value_of
from fedlethe.plots.style import (
    ERASED,
    LINES,
    Cell,
    Plot,
    legend_below,
    small_panels,
    styled,
)
from fedlethe.types import Evaluation, SweepPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SIGMA = "noise sigma\n(standard deviation per weight)"

_Spread: TypeAlias = "tuple[float, float, float] | tuple[None, None, None]"


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
    repeated = len({(point.client, point.sigma) for point in points}) < len(points)
    lines_are = "means over several draws of the noise; bands reach from the lowest to the highest draw"
    caption = (
        "In each panel one hospital is taken out of the model, and noise is added to every weight to hide who left; "
        f"nothing is repaired afterwards. Lines are {lines_are if repeated else 'of one draw of the noise'}."
    )
    return Plot("sweep", title, caption, figure, header, rows)


def _overall_accuracy(point: SweepPoint) -> float | None:
    return point.evaluation.overall.accuracy


def _own_accuracy(point: SweepPoint) -> float | None:
    return value_of(point.evaluation, point.client, accuracy_of)


def _spread(values: Iterable[float | None]) -> _Spread:
    """Mean, least and most of those that are there."""
    there = [value for value in values if value is not None]
    return (fmean(there), min(there), max(there)) if there else (None, None, None)


def _band(axis: Axes, x: Sequence[float], spreads: Sequence[_Spread], colour: str, style: str, label: str) -> None:
    """Means as a line, least to most as a band."""
    mean, least, most = np.array(spreads, dtype=np.float64).T  # None becomes NaN: a gap
    axis.fill_between(x, least, most, color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, mean, style, color=colour, markersize=4, label=label)
