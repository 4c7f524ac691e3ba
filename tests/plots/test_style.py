# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from PIL import Image

from fedlethe.errors import FedletheError
from fedlethe.plots import style
from fedlethe.plots.style import Plot
from tests.plots.drawn import CLIENTS, EVERY, mixed


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


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
        png = style.save(plot, tmp_path)
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
        style.save(plot, tmp_path / folder)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert len(first) == 3
    for folder in ("second", "third"):
        assert {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} == first


def test_the_users_matplotlib_settings_neither_matter_nor_change(tmp_path: Path) -> None:
    plain = style.save(mixed(["a"]), tmp_path / "plain").read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        before = dict(mpl.rcParams)
        assert style.save(mixed(["a"]), tmp_path / "odd").read_bytes() == plain
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


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedletheError, match="file"):
        style.save(mixed(["a"]), tmp_path / "file")
