# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from fedlethe.plots import noise_sweep
from fedlethe.types import Evaluation, SweepPoint
from tests.plots.drawn import evaluation, heights, metrics, swept


def test_the_sweep_shows_mean_least_and_most_over_draws() -> None:
    draws = [(0.0, 0.75, 0.5), (0.01, 0.25, 0.125), (0.01, 0.5, 0.125), (0.01, 0.75, 0.5)]
    points = [
        SweepPoint("a", sigma, draw, Evaluation(metrics(overall), {"a": metrics(own), "b": metrics(0.9)}))
        for draw, (sigma, overall, own) in enumerate(draws)
    ]
    plot = noise_sweep.sweep(points, evaluation(["a", "b"], 0.875))
    assert plot.header[:6] == ("client", "sigma", "draws", "accuracy_mean", "accuracy_min", "accuracy_max")
    assert plot.header[6:] == ("own_accuracy_mean", "own_accuracy_min", "own_accuracy_max", "untouched_accuracy")
    assert list(plot.rows) == [
        ("a", 0.0, 1, 0.75, 0.75, 0.75, 0.5, 0.5, 0.5, 0.875),
        ("a", 0.01, 3, 0.5, 0.25, 0.75, 0.25, 0.125, 0.5, 0.875),
    ]
    assert "Lines are means over several draws of the noise; bands reach" in plot.caption
    assert "Lines are of one draw of the noise." in noise_sweep.sweep(points[:2], evaluation(["a"], 0.875)).caption
    (axis,) = plot.figure.axes
    overall, own, untouched = axis.lines
    assert heights(overall) == [0.75, 0.5]
    assert heights(own) == [0.5, 0.25]
    assert heights(untouched) == [0.875, 0.875]
    assert axis.get_xlabel() == "noise sigma\n(standard deviation per weight)"


def test_the_sweep_shows_no_zero_for_a_client_without_test_images() -> None:
    points = [SweepPoint("a", sigma, 0, Evaluation(metrics(0.5), {"b": metrics(0.5)})) for sigma in (0.0, 0.1)]
    plot = noise_sweep.sweep(points, evaluation(["b"], 0.6))
    assert [row[6:9] for row in plot.rows] == [(None, None, None)] * 2
    assert np.isnan(heights(plot.figure.axes[0].lines[1])).all()


def test_the_sweep_has_a_panel_for_each_client_in_the_order_given() -> None:
    axes = swept(["site-2", "site-10", "site-1", "site-3", "site-4"]).figure.axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == [f"site-{number} erased" for number in (2, 10, 1, 3, 4)]
    assert len({axis.get_ylim() for axis in axes}) == len({axis.get_xlim() for axis in axes}) == 1
