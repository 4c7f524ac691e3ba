# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from PIL import Image

from fedlethe.errors import FedletheError
from fedlethe.plots import curves, style
from fedlethe.plots.curves import Plot
from fedlethe.types import Cost, Evaluation, Metrics, Stage, SweepPoint, TracePoint

STAGES = ("before", "unlearned", "masked", "repaired 1")


def metrics(accuracy: float, auc: float | None = 0.75) -> Metrics:
    return Metrics(40, accuracy, accuracy / 2, auc)


def evaluation(clients: Sequence[str], accuracy: float) -> Evaluation:
    """Client by client .01 better than the last; the last one's images are of one class, so its AUC is not defined."""
    held = {name: metrics(accuracy + 0.01 * place, 0.8) for place, name in enumerate(clients)}
    held[clients[-1]] = metrics(accuracy, None)
    return Evaluation(metrics(accuracy), held)


def training(clients: Sequence[str]) -> Plot:
    return curves.training_curve([(round, evaluation(clients, 0.5 + round / 10)) for round in range(4)])


def stages(clients: Sequence[str]) -> Plot:
    return curves.erasure_stages([Stage(name, evaluation(clients, 0.7), Cost()) for name in STAGES], clients[:1])


def swept(clients: Sequence[str]) -> Plot:
    points = [
        SweepPoint(client, sigma, draw, evaluation(clients, 0.8 - 10 * sigma - 0.02 * draw))
        for client in clients
        for sigma in (0.0, 0.01, 0.03)
        for draw in range(3 if sigma else 1)
    ]
    return curves.sweep(points, evaluation(clients, 0.9))


def trace_points(clients: Sequence[str]) -> list[TracePoint]:
    rounds = range(3)
    return [TracePoint(r, evaluation(clients, 0.5 + r / 10), evaluation(clients, 0.5 + r / 20)) for r in rounds]


def mixed(clients: Sequence[str]) -> Plot:
    return curves.class_mix({name: {"normal": 10 + place, "sick": 3} for place, name in enumerate(clients)})


def sheet(clients: Sequence[str]) -> Plot:
    pixels = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 1, 8, 8)
    return curves.contact_sheet({name: {"normal": pixels, "sick": pixels[:1]} for name in clients})


EVERY: dict[str, Callable[[Sequence[str]], Plot]] = {
    "training": training,
    "stages": stages,
    "sweep": swept,
    "trace-global": lambda clients: curves.trace_global(trace_points(clients), clients[0]),
    "trace-unlearned": lambda clients: curves.trace_unlearned(trace_points(clients), clients[0]),
    "class-mix": mixed,
    "images": sheet,
}

CLIENTS = {
    "one": ["alone"],
    "five": ["a", "_b", "c$d$", "e" * 30, "all"],
    "ten": [f"site-{number}" for number in range(10)],
}


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def legend_names(plot: Plot) -> list[str]:
    (legend,) = plot.figure.legends
    return [text.get_text().strip() for text in legend.get_texts()]


def heights(line: Line2D) -> list[float]:
    return [float(height) for height in np.asarray(line.get_ydata(), dtype=float)]


def labelled(axis: Axes, others: Sequence[Axes]) -> bool:
    """Whether a panel has its labels, or the one below it or at the left of it in the same grid."""
    place = axis.get_subplotspec()
    assert place is not None
    columns = [(other, other.get_subplotspec()) for other in others]
    below = [other for other, spec in columns if spec is not None and spec.colspan == place.colspan]
    beside = [other for other, spec in columns if spec is not None and spec.rowspan == place.rowspan]
    return any(other.get_xlabel() for other in below) and any(other.get_ylabel() for other in beside)


@pytest.mark.parametrize("clients", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_every_plot_is_titled_labelled_and_opens(
    draw: Callable[[Sequence[str]], Plot], clients: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        plot = draw(clients)
        png = curves.save(plot, tmp_path)
    assert not caplog.records
    assert plot.figure.get_suptitle().replace("\n", " ") == plot.title
    assert plot.caption.endswith(".")
    if plot.name != "images":
        assert all(labelled(axis, plot.figure.axes) for axis in plot.figure.axes)
    with Image.open(png) as image:
        image.load()
        assert 700 < image.width < 2200
        assert 100 < image.height < 2600
    assert (tmp_path / f"{plot.name}.svg").read_text(encoding="utf-8").startswith("<?xml")
    header, *rows = read_csv(tmp_path / f"{plot.name}.csv")
    assert header == list(plot.header)
    assert rows == [["" if cell is None else str(cell) for cell in row] for row in plot.rows]
    assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_the_same_values_give_the_same_bytes(draw: Callable[[Sequence[str]], Plot], tmp_path: Path) -> None:
    clients = CLIENTS["five"]
    again = draw(clients)
    for folder, plot in (("first", draw(clients)), ("second", again), ("third", again)):
        curves.save(plot, tmp_path / folder)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert len(first) == 3
    for folder in ("second", "third"):
        assert {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} == first


def test_the_users_matplotlib_settings_neither_matter_nor_change(tmp_path: Path) -> None:
    plain = curves.save(mixed(["a"]), tmp_path / "plain").read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        before = dict(mpl.rcParams)
        assert curves.save(mixed(["a"]), tmp_path / "odd").read_bytes() == plain
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", [name for name in EVERY if name != "images"])
@pytest.mark.parametrize("clients", CLIENTS.values(), ids=CLIENTS)
def test_the_legend_covers_no_panel_and_no_label(name: str, clients: list[str]) -> None:
    with style.styled():
        plot = EVERY[name](clients)
        plot.figure.draw_without_rendering()
        (legend,) = plot.figure.legends
        covered = legend.get_window_extent()
        for axis in plot.figure.axes:
            bounds = axis.get_tightbbox()
            assert bounds is not None
            assert not covered.overlaps(bounds)


def test_training_shows_every_client_and_all_of_them() -> None:
    plot = curves.training_curve([(3, evaluation(["a", "b"], 0.5))])
    assert plot.header == ("round", "client", "images", "accuracy", "balanced_accuracy", "auc")
    assert list(plot.rows) == [
        (3, "a", 40, 0.5, 0.25, 0.8),
        (3, "b", 40, 0.5, 0.25, None),
        (3, curves.OVERALL, 40, 0.5, 0.25, 0.75),
    ]
    assert legend_names(plot) == ["a", "b", curves.OVERALL]


def test_names_that_matplotlib_would_read_otherwise_are_shown_as_they_are() -> None:
    assert legend_names(training(["_b", "c$d$"])) == ["_b", "c$d$", curves.OVERALL]


def test_an_auc_that_is_not_defined_is_a_gap() -> None:
    accuracy, auc = training(["a", "b"]).figure.axes
    assert not np.isnan(heights(accuracy.lines[1])).any()
    assert np.isnan(heights(auc.lines[1])).all()


def test_a_client_that_is_missing_at_a_stage_is_a_gap() -> None:
    held = [Stage("before", evaluation(["a", "b"], 0.7), Cost()), Stage("unlearned", evaluation(["b"], 0.6), Cost())]
    accuracy = curves.erasure_stages(held, ["a"]).figure.axes[0]
    np.testing.assert_array_equal(heights(accuracy.lines[0]), [0.7, np.nan])


def test_stages_set_the_erased_apart() -> None:
    plot = stages(["a", "b"])
    erased, other, overall = plot.figure.axes[0].lines
    assert (erased.get_color(), erased.get_linestyle()) == (style.ERASED, "--")
    assert (other.get_color(), other.get_linestyle()) == (style.LINES[1], "-")
    assert overall.get_linewidth() > erased.get_linewidth() > other.get_linewidth()
    assert legend_names(plot) == ["a (erased)", "b", curves.OVERALL]
    assert [row[0] for row in plot.rows[::3]] == list(STAGES)
    assert plot.title == "Erasing a: the model at each stage"


def test_ten_clients_are_told_apart_without_colours() -> None:
    lines = training(CLIENTS["ten"]).figure.axes[0].lines
    looks = {(line.get_marker(), line.get_linestyle()) for line in lines[:-1]}
    assert len(looks) == 10


def test_the_sweep_shows_mean_least_and_most_over_draws() -> None:
    draws = [(0.0, 0.75, 0.5), (0.01, 0.25, 0.125), (0.01, 0.5, 0.125), (0.01, 0.75, 0.5)]
    points = [
        SweepPoint("a", sigma, draw, Evaluation(metrics(overall), {"a": metrics(own), "b": metrics(0.9)}))
        for draw, (sigma, overall, own) in enumerate(draws)
    ]
    plot = curves.sweep(points, evaluation(["a", "b"], 0.875))
    assert plot.header[:6] == ("client", "sigma", "draws", "accuracy_mean", "accuracy_min", "accuracy_max")
    assert plot.header[6:] == ("own_accuracy_mean", "own_accuracy_min", "own_accuracy_max", "untouched_accuracy")
    assert list(plot.rows) == [
        ("a", 0.0, 1, 0.75, 0.75, 0.75, 0.5, 0.5, 0.5, 0.875),
        ("a", 0.01, 3, 0.5, 0.25, 0.75, 0.25, 0.125, 0.5, 0.875),
    ]
    (axis,) = plot.figure.axes
    overall, own, untouched = axis.lines
    assert heights(overall) == [0.75, 0.5]
    assert heights(own) == [0.5, 0.25]
    assert heights(untouched) == [0.875, 0.875]
    assert axis.get_xlabel() == "noise sigma\n(standard deviation per weight)"


def test_the_sweep_shows_no_zero_for_a_client_without_test_images() -> None:
    points = [SweepPoint("a", sigma, 0, Evaluation(metrics(0.5), {"b": metrics(0.5)})) for sigma in (0.0, 0.1)]
    plot = curves.sweep(points, evaluation(["b"], 0.6))
    assert [row[6:9] for row in plot.rows] == [(None, None, None)] * 2
    assert np.isnan(heights(plot.figure.axes[0].lines[1])).all()


def test_the_sweep_has_a_panel_for_each_client_in_the_order_given() -> None:
    axes = swept(["site-2", "site-10", "site-1", "site-3", "site-4"]).figure.axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == [f"site-{number} erased" for number in (2, 10, 1, 3, 4)]
    assert len({axis.get_ylim() for axis in axes}) == len({axis.get_xlim() for axis in axes}) == 1


def test_the_traces_are_the_papers_two_plots() -> None:
    points = trace_points(["a", "b"])
    shared, erased = curves.trace_global(points, "a"), curves.trace_unlearned(points, "a")
    assert (shared.name, erased.name) == ("trace-a-global", "trace-a-unlearned")
    assert shared.rows[3] == (1, "a", 40, 0.6, 0.3, 0.8)
    assert erased.rows[:4:3] == [
        (0, "global", "a", 40, 0.5, 0.25, 0.8),
        (0, "unlearned", "a", 40, 0.5, 0.25, 0.8),
    ]
    trained, unlearned = erased.figure.axes[0].lines
    np.testing.assert_allclose(heights(trained), [0.5, 0.6, 0.7])
    np.testing.assert_allclose(heights(unlearned), [0.5, 0.55, 0.6])


def test_a_trace_of_a_client_without_test_images_shows_the_others() -> None:
    plot = curves.trace_global(trace_points(["b"]), "a")
    assert legend_names(plot) == ["all hospitals' test images"]


def test_the_class_mix_stacks_and_sums() -> None:
    plot = curves.class_mix({"a": {"normal": 4, "sick": 2}, "b": {"normal": 1}})
    assert list(plot.rows) == [("a", "normal", 4), ("a", "sick", 2), ("b", "normal", 1), ("b", "sick", 0)]
    (axis,) = plot.figure.axes
    assert [text.get_text() for text in axis.texts] == ["6", "1"]
    assert legend_names(plot) == ["normal", "sick"]


def test_a_class_mix_without_images_is_drawn(tmp_path: Path) -> None:
    curves.save(curves.class_mix({"a": {"normal": 0}}), tmp_path)


def test_the_contact_sheet_shows_the_pixels_and_says_how_many() -> None:
    pixels = np.full((2, 3, 32, 32), 7, dtype=np.uint8)
    pixels[1] = 9
    plot = curves.contact_sheet({"a": {"normal": pixels, "sick": pixels[:0]}, "b": {"normal": pixels[:1]}})
    assert list(plot.rows) == [("a", "normal", 2), ("a", "sick", 0), ("b", "normal", 1), ("b", "sick", 0)]
    shown = np.asarray(plot.figure.axes[0].images[0].get_array())
    assert shown.shape == (32, 66, 3)  # two images and a gap of 2
    assert (shown[:, :32] == 7).all()
    assert (shown[:, 32:34] == 255).all()
    assert (shown[:, 34:] == 9).all()
    assert [axis.get_title(loc="left") for axis in plot.figure.axes[:2]] == ["normal", "sick"]
    assert [axis.get_ylabel() for axis in plot.figure.axes[::2]] == ["a", "b"]


def test_a_contact_sheet_of_many_classes_shows_fewer_images_of_each() -> None:
    pixels = np.zeros((4, 1, 8, 8), dtype=np.uint8)
    plot = curves.contact_sheet({"a": {f"class {number}": pixels for number in range(8)}})
    assert [row[2] for row in plot.rows] == [2] * 8


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedletheError, match="file"):
        curves.save(mixed(["a"]), tmp_path / "file")
