# SPDX-License-Identifier: MIT
from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Annotation

from fedlethe.plots.cost_against_gap import CostPoint, cost_against_gap


@pytest.fixture(autouse=True)
def _close() -> object:
    yield
    plt.close("all")


def test_the_csv_beside_the_picture_has_every_seed() -> None:
    points = [CostPoint("cheap", 0.02, [-1.0, 2.0], "gone"), CostPoint("nothing", 0.0, [0.5, 0.5], "still there")]
    plot = cost_against_gap(points, [-2.0, 2.0], "AUC")
    assert plot.header == ("method", "share_of_retraining", "seed_index", "gap_points", "verdict")
    assert plot.rows[:2] == [("cheap", 0.02, 0, -1.0, "gone"), ("cheap", 0.02, 1, 2.0, "gone")]
    (axis,) = plot.figure.axes
    assert axis.get_ylabel().startswith("AUC less the retrainings' mean")
    markers = {line.get_label(): tuple(np.asarray(line.get_xydata())[0]) for line in axis.lines}
    assert markers["gone"] == (0.02, 0.5)  # the mean of the seeds
    assert markers["still there"] == (1e-3, 0.5)  # what takes no training stands at the left edge


def test_names_do_not_lie_on_each_other_and_stay_in_the_picture() -> None:
    points = [CostPoint(f"method {n}", 0.02, [n / 10], "gone" if n < 5 else "still there") for n in range(60)]
    (axis,) = cost_against_gap(points, [-2.0, 8.0], "accuracy").figure.axes
    low, high = axis.get_ylim()
    names = {text.get_text(): text.xyann[1] for text in axis.texts if isinstance(text, Annotation)}
    heights = sorted(names.values())
    assert low <= heights[0]
    assert min(b - a for a, b in pairwise(heights)) > 0.03 * (high - low)
    assert {f"method {n}" for n in range(5)} <= set(names)  # those that forget come first
    assert len(names) < 60
