# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from fedlethe.plots import metric_lines
from tests.plots.drawn import CLIENTS, heights, legend_names, training


def test_names_that_matplotlib_would_read_otherwise_are_shown_as_they_are() -> None:
    assert legend_names(training(["_b", "c$d$"])) == ["_b", "c$d$", metric_lines.OVERALL]


def test_an_auc_that_is_not_defined_is_a_gap() -> None:
    accuracy, auc = training(["a", "b"]).figure.axes
    assert not np.isnan(heights(accuracy.lines[1])).any()
    assert np.isnan(heights(auc.lines[1])).all()


def test_ten_clients_are_told_apart_without_colours() -> None:
    lines = training(CLIENTS["ten"]).figure.axes[0].lines
    looks = {(line.get_marker(), line.get_linestyle()) for line in lines[:-1]}
    assert len(looks) == 10
