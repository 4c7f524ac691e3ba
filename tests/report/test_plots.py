# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fedlethe.report import plots
from fedlethe.types import Cost, Evaluation, Metrics, Stage, SweepPoint, TracePoint


def evaluation(accuracy: float, clients: int = 3, auc: float | None = 0.9) -> Evaluation:
    held = {f"hospital-{index}": Metrics(10, accuracy - index / 100, accuracy, auc) for index in range(clients)}
    return Evaluation(Metrics(10 * clients, accuracy, accuracy, auc), held)


def swept(clients: int = 3) -> plots.Plot:
    points = [
        SweepPoint(f"hospital-{client}", sigma, draw, evaluation(0.9 - 10 * sigma - draw / 10, clients))
        for client in range(clients)
        for sigma in (0.0, 0.01)
        for draw in range(3 if sigma else 1)
    ]
    return plots.sweep(points, evaluation(0.95, clients))


def every_plot() -> Sequence[plots.Plot]:
    trace = [TracePoint(round, evaluation(0.5 + round / 10), evaluation(0.5)) for round in range(4)]
    stages = [Stage(name, evaluation(0.8), Cost()) for name in ("before", "unlearned", "masked", "repaired 1")]
    image = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    return [
        plots.training_curve([(round, evaluation(0.5 + round / 10)) for round in (1, 2, 3)]),
        plots.erasure_stages(stages, ["hospital-1"]),
        swept(),
        plots.trace_global(trace, "hospital-1"),
        plots.trace_unlearned(trace, "hospital-1"),
        plots.class_mix({"a": {"normal": 3, "opacity": 4}, "b": {"normal": 5, "opacity": 0}}),
        plots.contact_sheet({"a": {"normal": image, "opacity": image[:0]}, "b": {"normal": image, "opacity": image}}),
    ]


PLOTS = {plot.name: plot for plot in every_plot()}


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_has_a_title_labelled_axes_and_a_caption(name: str) -> None:
    figure: Figure = PLOTS[name].figure
    assert figure.get_suptitle() == PLOTS[name].title
    assert PLOTS[name].caption.endswith(".")
    if name != "images":
        assert all(axis.get_xlabel() for axis in figure.axes)
        assert any(axis.get_ylabel() for axis in figure.axes) or name == "class-mix"
        assert len(figure.legends) == 1
        assert not any(axis.get_legend() for axis in figure.axes)


@pytest.mark.parametrize("name", PLOTS)
def test_a_saved_plot_is_a_picture_a_drawing_and_a_table_the_same_every_time(name: str, tmp_path: Path) -> None:
    again = {plot.name: plot for plot in every_plot()}[name]
    for folder, plot in (("one", PLOTS[name]), ("two", again)):
        png = plots.save(plot, tmp_path / folder)
        with Image.open(png) as image:
            assert image.width > 400
            assert image.height > 200
    for ending in ("png", "svg", "csv"):
        one, two = ((tmp_path / folder / f"{name}.{ending}").read_bytes() for folder in ("one", "two"))
        assert one == two
    with (tmp_path / "one" / f"{name}.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == PLOTS[name].header
    assert len(rows) == len(PLOTS[name].rows) > 0


def test_the_sweep_shows_mean_least_and_most_over_draws() -> None:
    axis = swept().figure.axes[0]
    line = next(line for line in axis.lines if line.get_label() == "all test images")
    np.testing.assert_allclose(line.get_ydata(), [0.9, 0.8 - 0.1])  # draws at 0.01: 0.8, 0.7, 0.6
    band = axis.collections[0].get_paths()[0].vertices
    at_noise = np.asarray(band)[np.isclose(np.asarray(band)[:, 0], 0.01), 1]
    assert at_noise.min() == pytest.approx(0.6)
    assert at_noise.max() == pytest.approx(0.8)


def test_the_table_holds_every_draw() -> None:
    assert swept().rows[3] == ("hospital-0", 0.01, 2, *[pytest.approx(0.6)] * 2, 0.9, pytest.approx(0.6))


@pytest.mark.parametrize("clients", [1, 2, 10])
def test_few_and_many_clients_and_no_auc(clients: int, tmp_path: Path) -> None:
    plots.save(swept(clients), tmp_path)
    curve = plots.training_curve([(1, evaluation(0.5, clients, None)), (2, evaluation(0.6, clients))])
    plots.save(curve, tmp_path)
    assert curve.rows[0][-1] is None
