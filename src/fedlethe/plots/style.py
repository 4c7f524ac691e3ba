# SPDX-License-Identifier: MIT
"""How every plot looks, and how it is written: the colours, the panels, the legend, the files.

Colours are Okabe and Ito's, which colour-blind readers tell apart; markers, line styles and hatches repeat what they
say, so that a gray print is read as well.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fedlethe.files import write_text, written_whole
from fedlethe.text import for_cell, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_LINE = 120
"""Characters of a line in a figure; what is longer is cut, and stands whole in the CSV."""

LONGEST_NAME = 40
"""Characters of a name beside a panel, which takes its room from the panel."""

DPI = 150
"""Pixels per inch of the PNG."""

LINES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
"""Of lines, on white: neither yellow, which is not seen there, nor vermilion, which says 'erased'."""

FILLS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
HATCHES = ("", "///", "...", "xxx")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ERASED = "#D55E00"

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "text.parse_math": False,  # a '$' in a client's name is a '$'
    "svg.hashsalt": "fedlethe",
    "svg.fonttype": "path",
}

Cell: TypeAlias = "str | int | float | None"


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure and what it shows.

    Attributes:
        name: Of its files, without an ending.
        title: Stands over the figure.
        caption: One or two sentences for a reader who is no engineer.
        figure: The drawing.
        header: The CSV's column names.
        rows: The CSV's rows; None is an empty cell.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


@contextmanager
def styled() -> Iterator[None]:
    """The package's style, whatever the user's matplotlibrc says; nothing of it stays afterwards."""
    import matplotlib as mpl  # it takes half a second: only who draws waits for it

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        # A letter that the font lacks is drawn as an empty box; names that leave no room for panels overlap them.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        yield


def save(plot: Plot, folder: Path) -> Path:
    """Write NAME.png, NAME.svg and NAME.csv; the same values give the same bytes.

    Returns:
        The PNG's path.

    Raises:
        FedletheError: The folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([for_cell(cell) for cell in row] for row in (plot.header, *plot.rows))
    write_text(folder / f"{plot.name}.csv", text.getvalue())
    formats: dict[str, dict[str, Any]] = {"svg": {"metadata": {"Date": None}}, "png": {"dpi": DPI}}
    with styled():
        _spell_out(plot.figure)
        plot.figure.draw_without_rendering()
        plot.figure.set_layout_engine(None)  # laid out once: a second pass would move panels by a rounding
        box = plot.figure.get_tightbbox().padded(0.1)  # measured once: "tight" draws the whole figure for each file
        for ending, options in formats.items():
            with written_whole(folder / f"{plot.name}.{ending}") as aside:
                plot.figure.savefig(aside, format=ending, bbox_inches=box, **options)
    return folder / f"{plot.name}.png"


def _spell_out(figure: Figure) -> None:
    """Bring every text of a figure to what an SVG may hold and a page has room for, names on the axes included."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        beside = text.get_rotation() == 0 and text.get_horizontalalignment() == "right"  # a name at the left
        text.set_text(_drawn(text.get_text(), LONGEST_NAME if beside else LONGEST_LINE))
    for axis in (one for panel in figure.axes for one in (panel.xaxis, panel.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FuncFormatter):  # names at ticks are kept here, and written anew with each drawing
            formatter.func = _spelled_out(formatter.func)


def _spelled_out(func: Callable[..., str]) -> Callable[..., str]:
    return lambda *place: _drawn(func(*place), LONGEST_NAME)


def _drawn(text: str, longest: int = LONGEST_LINE) -> str:
    lines = (line if len(line) <= longest else f"{line[:longest]} ..." for line in text.split("\n"))
    return "\n".join(map(shown, lines))


def blank(title: str, width: float, height: float, gaps: float = 0.04) -> Figure:
    """An empty figure of so many inches, with its title at the left and `gaps` (inches) above and below panels."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=gaps, hspace=0.02))
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def panels(title: str, count: int) -> tuple[Figure, list[Axes]]:
    """One panel, or two beside each other."""
    figure = blank(title, 6.4 if count == 1 else 9.2, 3.8)
    return figure, list(figure.subplots(1, count, squeeze=False).flat)


def small_panels(title: str, count: int, x_label: str, y_label: str) -> tuple[Figure, list[Axes]]:
    """Small panels with common axes, at most three in a row: ticks on each, labels at the left and the bottom."""
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    figure = blank(title, {1: 6.4, 2: 8.0, 3: 9.6}[columns], 1.6 + (2.6 if columns == 1 else 2.2) * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for spare in axes[count:]:
        spare.remove()
    for index, axis in enumerate(axes[:count]):
        axis.tick_params(labelbottom=True, labelleft=True)
        axis.set_xlabel(x_label if index + columns >= count else "")
        axis.set_ylabel(y_label if index % columns == 0 else "")
    return figure, axes[:count]


def whole_number_ticks(axes: Sequence[Axes]) -> None:
    """Ticks at whole numbers only, on the x axis: there is no round 2.5."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10]))


def legend_below(figure: Figure, axis: Axes) -> None:
    """A legend under the panels, where it covers no data; the figure grows by its height."""
    handles, labels = axis.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    fitting = max(1, min(len(labels), 5, int(width / (0.7 + 0.078 * max(map(len, labels))))))
    rows = -(-len(labels) // fitting)
    figure.set_size_inches(width, height + 0.22 * (rows - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows))


def legend_label(name: str) -> str:
    """A name as a legend takes it: matplotlib leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name
