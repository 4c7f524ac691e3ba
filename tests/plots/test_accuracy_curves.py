# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from fedlethe.plots import accuracy_curves, metric_lines, style
from fedlethe.types import Cost, Stage
from tests.plots.drawn import STAGES, evaluation, heights, legend_names, stages


def test_training_shows_every_client_and_all_of_them() -> None:
    plot = accuracy_curves.training_curve([(3, evaluation(["a", "b"], 0.5))])
    assert plot.header[:6] == ("round", "client", "images", "accuracy", "balanced_accuracy", "auc")
    assert all(len(row) == len(plot.header) for row in plot.rows)
    assert [row[:6] for row in plot.rows] == [
        (3, "a", 40, 0.5, 0.25, 0.8),
        (3, "b", 40, 0.5, 0.25, None),
        (3, metric_lines.OVERALL, 40, 0.5, 0.25, 0.75),
    ]
    assert legend_names(plot) == ["a", "b", metric_lines.OVERALL]


def test_a_client_that_is_missing_at_a_stage_is_a_gap() -> None:
    held = [Stage("before", evaluation(["a", "b"], 0.7), Cost()), Stage("unlearned", evaluation(["b"], 0.6), Cost())]
    accuracy = accuracy_curves.erasure_stages(held, ["a"]).figure.axes[0]
    np.testing.assert_array_equal(heights(accuracy.lines[0]), [0.7, np.nan])


def test_stages_set_the_erased_apart() -> None:
    plot = stages(["a", "b"])
    erased, other, overall = plot.figure.axes[0].lines
    assert (erased.get_color(), erased.get_linestyle()) == (style.ERASED, "--")
    assert (other.get_color(), other.get_linestyle()) == (style.LINES[1], "-")
    assert overall.get_linewidth() > erased.get_linewidth() > other.get_linewidth()
    assert legend_names(plot) == ["a (erased)", "b", metric_lines.OVERALL]
    assert [row[0] for row in plot.rows[::3]] == list(STAGES)
    assert plot.title == "Erasing a: the model at each stage"
