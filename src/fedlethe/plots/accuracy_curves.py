# SPDX-License-Identifier: MIT
"""How well the model reads test images after each round of training, and at each stage of an erasure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fedlethe.plots.metric_lines import METRIC_HEADER, both_metrics, metric_rows
from fedlethe.plots.style import (
    Plot,
    legend_below,
    panels,
    styled,
    whole_number_ticks,
)
from fedlethe.types import ClientId, Evaluation, Stage


def training_curve(curve: Sequence[tuple[int, Evaluation]]) -> Plot:
    """Accuracy and AUC of the global model after each round, per client and overall.

    Args:
        curve: Round and evaluation, in the order of the rounds; at least one.
    """
    title = "Training: the shared model after each round"
    with styled():
        figure, axes = panels(title, 2)
        both_metrics(axes, [round for round, _ in curve], [evaluation for _, evaluation in curve], ())
        whole_number_ticks(axes)
        for axis in axes:
            axis.set_xlabel("round of training")
        legend_below(figure, axes[0])
    rows = [(round, *row) for round, evaluation in curve for row in metric_rows(evaluation)]
    caption = (
        "How well the shared model reads test images, round by round. Each thin line is one hospital's test images; "
        "the thick black line is all of them together."
    )
    return Plot("training", title, caption, figure, ("round", *METRIC_HEADER), rows)


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
        both_metrics(axes, places, [stage.evaluation for stage in stages], forget)
        for axis in axes:
            names = [stage.name for stage in stages]
            axis.set_xticks(places, names, rotation=25, ha="right", rotation_mode="anchor")
            axis.set_xlabel("stage of the erasure")
        legend_below(figure, axes[0])
    rows = [(stage.name, *row) for stage in stages for row in metric_rows(stage.evaluation)]
    caption = (
        "How well the model reads test images after each step. The dashed line is the erased hospital's own images, "
        "the thick black line all hospitals together. The model should stay useful for those who remain."
    )
    return Plot("stages", title, caption, figure, ("stage", *METRIC_HEADER), rows)
