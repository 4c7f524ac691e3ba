# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from fedlethe.plots import round_traces
from tests.plots.drawn import heights, legend_names, trace_points


def test_the_traces_are_the_papers_two_plots() -> None:
    points = trace_points(["a", "b"])
    shared, erased = round_traces.trace_global(points, "a"), round_traces.trace_unlearned(points, "a")
    assert (shared.name, erased.name) == ("trace-a-global", "trace-a-unlearned")
    assert shared.rows[3][:6] == (1, "a", 40, 0.6, 0.3, 0.8)
    assert [row[:7] for row in erased.rows[:4:3]] == [
        (0, "global", "a", 40, 0.5, 0.25, 0.8),
        (0, "unlearned", "a", 40, 0.5, 0.25, 0.8),
    ]
    trained, unlearned = erased.figure.axes[0].lines
    np.testing.assert_allclose(heights(trained), [0.5, 0.6, 0.7])
    np.testing.assert_allclose(heights(unlearned), [0.5, 0.55, 0.6])


def test_a_trace_of_a_client_without_test_images_shows_the_others() -> None:
    plot = round_traces.trace_global(trace_points(["b"]), "a")
    assert legend_names(plot) == ["all hospitals' test images"]
