# SPDX-License-Identifier: MIT
"""Accuracy by round: with one client, and with it erased after every round."""

from __future__ import annotations

from collections.abc import Sequence

from fedlethe.plots.metric_lines import METRIC_HEADER, SHARE, accuracy_of, metric_rows, value_line, value_of
from fedlethe.plots.style import (
    ERASED,
    LINES,
    Plot,
    legend_below,
    panels,
    styled,
    whole_number_ticks,
)
from fedlethe.types import ClientId, TracePoint


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
        value_line(axis, rounds, overall, LINES[0], "o-", "all hospitals' test images")
        if any(client in point.trained.clients for point in points):
            own = [value_of(point.trained, client, accuracy_of) for point in points]
            value_line(axis, rounds, own, ERASED, "s--", f"{client}'s own test images")
        whole_number_ticks([axis])
        axis.set_xlabel("round of training")
        axis.set_ylabel(SHARE)
        legend_below(figure, axis)
    rows = [(point.round, *row) for point in points for row in metric_rows(point.trained)]
    caption = f"All hospitals train; {client} is one of them. Round 0 is the model before any training."
    return Plot(f"trace-{client}-global", title, caption, figure, ("round", *METRIC_HEADER), rows)


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
        value_line(axis, rounds, trained, LINES[0], "o-", f"with {client}")
        value_line(axis, rounds, unlearned, ERASED, "s--", f"{client} erased")
        whole_number_ticks([axis])
        axis.set_xlabel("round up to which the hospital is erased")
        axis.set_ylabel(SHARE)
        legend_below(figure, axis)
    rows = [
        (point.round, model, *row)
        for point in points
        for model, evaluation in (("global", point.trained), ("unlearned", point.unlearned))
        for row in metric_rows(evaluation)
    ]
    caption = (
        f"At each round, {client} is taken out of the model as if training had ended there; nothing is repaired. "
        "Both lines are measured on all hospitals' test images."
    )
    return Plot(f"trace-{client}-unlearned", title, caption, figure, ("round", "model", *METRIC_HEADER), rows)
