# SPDX-License-Identifier: MIT
"""One self-contained HTML page: text, tables and pictures, nothing fetched from anywhere; it prints well."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import jinja2

from fedlethe.plots.metric_lines import OVERALL, RETAINED
from fedlethe.plots.style import Plot
from fedlethe.text import shown
from fedlethe.types import ClientId, Metrics, Stage

UNDEFINED = "\N{EN DASH}"
"""Stands where a value is not defined."""

CAPTION = (
    f"How well the model reads test images: 1 is perfect (of the calibration error 0); {UNDEFINED} is not defined; "
    "'commonest class' is the accuracy of whoever always answers it"
)

MEASURES = ("accuracy", "balanced accuracy", "AUC")
FIGURES = (
    "images",
    "accuracy",
    "balanced accuracy",
    "sensitivity",
    "specificity",
    "AUC",
    "AUC, 95 %",
    "calibration error",
    "commonest class",
)

_NUMBER = re.compile(rf"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( ?%)?|{UNDEFINED}|")


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table.

    Rows that follow each other with the same first cell are shown under one heading at the left. A column of numbers
    is aligned at the right, any other at the left.

    Attributes:
        caption: Says what it holds.
        header: Column names.
        rows: As many cells each as the header; None is shown as a dash.
        marked: First cells of the rows that stand out, such as erased clients'.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    marked: frozenset[str] = frozenset()

    @property
    def groups(self) -> list[tuple[str, list[list[str]]]]:
        """First cell, and the other cells of each row under it."""
        rows = [[UNDEFINED if cell is None else str(cell) for cell in row] for row in self.rows]
        return [(first, [row[1:] for row in same]) for first, same in groupby(rows, lambda row: row[0])]

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds numbers alone."""
        cells = [[row[place] for row in self.rows] for place in range(len(self.header))]
        return [all(cell is None or _NUMBER.fullmatch(str(cell)) for cell in column) for column in cells]


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot as the page shows it.

    Attributes:
        title, caption: Of the plot.
        content: The PNG, base64.
        values: The CSV's place, relative to the run folder.
        width: Of the PNG, in pixels.
    """

    title: str
    caption: str
    content: str
    values: str
    width: int

    @classmethod
    def of(cls, plot: Plot, png: Path, values: str) -> Picture:
        """A plot that was saved."""
        content = png.read_bytes()
        width = int.from_bytes(content[16:20], "big")  # where the PNG's first chunk, IHDR, has it
        return cls(plot.title, plot.caption, base64.b64encode(content).decode(), values, width)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs (or one paragraph), tables and pictures, in this order."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    pictures: Sequence[Picture] = ()

    @property
    def paragraphs(self) -> Sequence[str]:
        """The text, by paragraph."""
        return [self.text] if isinstance(self.text, str) else self.text


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        title: Its heading.
        lead: One sentence under it.
        facts: Label to value.
        sections: In their order; with more than three there is a table of contents.
    """

    title: str
    lead: str
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()


def render(page: Page) -> str:
    """The page as HTML; whatever the values hold is escaped."""
    loader = jinja2.PackageLoader("fedlethe", "pages")
    environment = jinja2.Environment(
        loader=loader,
        # Names, reasons and statements are other people's text, and none of it is markup.
        autoescape=True,
        # A misspelt name in the template is an error, and no empty place on a page that proves something.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters survive HTML's escaping.
        finalize=lambda value: shown(value, lines=True) if isinstance(value, str) else value,
    )
    return environment.get_template("page.html.j2").render(page=page, overall=OVERALL)


def stages_table(stages: Sequence[Stage], forget: Sequence[ClientId]) -> PageTable:
    """Accuracy, balanced accuracy and AUC of each client (rows) at each stage (columns).

    Args:
        stages: In their order; at least one.
        forget: The erased clients: their rows say so, and stand out.
    """
    clients = dict.fromkeys(client for stage in stages for client in stage.evaluation.clients)
    found = {_heading(client, forget): [stage.evaluation.clients.get(client) for stage in stages] for client in clients}
    found[OVERALL] = [stage.evaluation.overall for stage in stages]
    if any(stage.evaluation.retained is not None for stage in stages):
        found[RETAINED] = [stage.evaluation.retained for stage in stages]
    marked = frozenset(_heading(client, forget) for client in forget)
    lines = [
        (heading, measure, *values)
        for heading, at_stages in found.items()
        for measure, values in zip(MEASURES, zip(*map(_measured, at_stages), strict=True), strict=True)
    ]
    return PageTable(CAPTION, ("hospital", "measure", *(stage.name for stage in stages)), lines, marked)


def figures_table(stage: Stage, forget: Sequence[ClientId]) -> PageTable:
    """All that is known of how a model reads each client's test images, and of how many there are.

    Args:
        stage: Its model.
        forget: The erased clients: their rows say so, and stand out.
    """
    evaluation = stage.evaluation
    found = {_heading(client, forget): metrics for client, metrics in evaluation.clients.items()}
    found[OVERALL] = evaluation.overall
    if evaluation.retained is not None:
        found[RETAINED] = evaluation.retained
    rows = [(heading, *_all_of(metrics)) for heading, metrics in found.items()]
    marked = frozenset(_heading(client, forget) for client in forget)
    return PageTable(f"{stage.name.capitalize()}. {CAPTION}", ("hospital", *FIGURES), rows, marked)


def _all_of(metrics: Metrics) -> tuple[str, ...]:
    """A cell for each of FIGURES."""
    interval = UNDEFINED
    if metrics.auc_interval is not None:
        low, high = metrics.auc_interval
        interval = f"{low:.3f} to {high:.3f}"
    recalls, others = (metrics.sensitivity, metrics.specificity), (metrics.calibration, metrics.commonest)
    cells = [*_measured(metrics)[:2], *map(_cell, recalls), _cell(metrics.auc), interval, *map(_cell, others)]
    return (f"{metrics.num_examples:,}", *cells)


def _cell(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"


def _heading(client: ClientId, forget: Sequence[ClientId]) -> str:
    return f"{client} (erased)" if client in forget else client


def _measured(metrics: Metrics | None) -> tuple[str, str, str]:
    """A cell for each of MEASURES."""
    if metrics is None:
        return (UNDEFINED,) * 3
    balanced = None if metrics.one_class else metrics.balanced_accuracy
    return f"{metrics.accuracy:.3f}", _cell(balanced), _cell(metrics.auc)
