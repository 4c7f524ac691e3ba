# SPDX-License-Identifier: MIT
"""The plot of a comparison: what each method costs against what it loses, and whether the client is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from fedlethe.plots.style import ERASED, LINES, Plot, legend_below, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CostPoint", "cost_against_gap"]

FREE = 1e-3
"""Where on the axis of costs stands what takes no training at all."""

LOOK = {
    "gone": ("o", LINES[2]),
    "still there": ("X", ERASED),
    "not useful": ("v", "#777777"),
    "cannot be shown": ("D", LINES[0]),
}
"""Verdict to marker and colour."""


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One method.

    Attributes:
        name: Of the method.
        share: Its training examples over retraining's.
        gap: Its accuracy, or what stands for it, less the retrainings' mean, in points, one for each seed.
        verdict: One word.
    """

    name: str
    share: float
    gap: Sequence[float]
    verdict: str


def cost_against_gap(points: Sequence[CostPoint], retrainings: Sequence[float], figure_of: str) -> Plot:
    """Accuracy gap to the mean retraining against cost; each seed a tick, their mean the marker.

    Args:
        points: At least one.
        retrainings: Each retraining's accuracy less their mean, in points.
        figure_of: What the gap is of: accuracy or AUC.
    """
    from matplotlib.ticker import FuncFormatter

    title = "What each erasure costs, and what it loses against retraining"
    with styled():
        figure, (axis,) = panels(title, 1)
        figure.set_size_inches(9.5, 6.0)
        axis.axhspan(min(retrainings), max(retrainings), color="#BBBBBB", alpha=0.5, label="range of retrainings")
        for verdict, (marker, colour) in LOOK.items():
            for index, point in enumerate(point for point in points if point.verdict == verdict):
                x, mean = max(point.share, FREE), sum(point.gap) / len(point.gap)
                label = verdict if index == 0 else None
                axis.plot([x] * len(point.gap), point.gap, "_", color=colour, markersize=5, alpha=0.6)
                axis.plot([x], [mean], marker, color=colour, markersize=8, label=label, zorder=3)
        _name(axis, points)
        axis.set_xscale("log")
        axis.set_xlim(FREE / 1.6, max(1.6, *(1.6 * point.share for point in points)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x <= FREE else f"{x:g}"))
        axis.set_xlabel("training examples, as a share of retraining's (none: no training at all)")
        axis.set_ylabel(f"{figure_of} less the retrainings' mean\n(points)")
        legend_below(figure, axis)
    header = ("method", "share_of_retraining", "seed_index", "gap_points", "verdict")
    rows = [
        (point.name, point.share, index, gap, point.verdict) for point in points for index, gap in enumerate(point.gap)
    ]
    caption = (
        "Each marker is a method: to the left is cheap, near 0 is as good as retraining. Small ticks are single "
        "seeds, the gray band reaches from the worst to the best retraining. Shape and colour of a marker "
        "say what the audits found. Names for which there is no room are in the CSV."
    )
    return Plot("cost-against-gap", title, caption, figure, header, rows)


def _name(axis: Axes, points: Sequence[CostPoint]) -> None:
    """Write the names beside the markers, one below the other where they would overlap, while there is room.

    Those of which the client is gone come first.
    """
    low, high = axis.get_ylim()
    line = 0.036 * (high - low)
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: (point.verdict != "gone", -sum(point.gap) / len(point.gap))):
        x, y = max(point.share, FREE), sum(point.gap) / len(point.gap)
        height = y
        while any(abs(log10(x / other)) < 0.45 and abs(height - at) < 0.97 * line for other, at in taken):
            height -= line
        if height < low or y - height > 8 * line:
            continue
        taken.append((x, height))
        axis.annotate(
            point.name, (x, y), (x * 1.09, height), fontsize=8, va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#999999"} if height != y else None,
        )  # fmt: skip
