# SPDX-License-Identifier: MIT
"""One self-contained HTML page: text, tables and pictures, nothing fetched from anywhere; it prints well."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from fedlethe.report.plots import Plot
from fedlethe.types import ClientId, Metrics, Stage


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: Says what it holds.
        header: Column names; every column but the first holds numbers.
        rows: As many cells each as the header; a first cell 'all' marks the total.
        marked: First cells of the rows that stand out.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    marked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot as the page shows it.

    Attributes:
        title, caption: Of the plot.
        content: The PNG, base64.
        values: The CSV's place, relative to the run folder.
    """

    title: str
    caption: str
    content: str
    values: str

    @classmethod
    def of(cls, plot: Plot, png: Path, values: str) -> Picture:
        """A plot that was saved."""
        return cls(plot.title, plot.caption, base64.b64encode(png.read_bytes()).decode(), values)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs, tables and pictures, in this order."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


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
    loader = jinja2.PackageLoader("fedlethe", "report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html.j2").render(page=page)


def stages_table(stages: Sequence[Stage], forget: Sequence[ClientId]) -> Table:
    """Accuracy, balanced accuracy and AUC of each client (rows) at each stage (columns)."""
    clients = [*stages[0].evaluation.clients, "all"]
    rows = [
        (client, *(_cell({**stage.evaluation.clients, "all": stage.evaluation.overall}[client]) for stage in stages))
        for client in clients
    ]
    header = ("client", *(stage.name for stage in stages))
    return Table("accuracy / balanced accuracy / AUC on test images", header, rows, frozenset(forget))


def _cell(metrics: Metrics) -> str:
    auc = "-" if metrics.auc is None else f"{metrics.auc:.3f}"
    return f"{metrics.accuracy:.3f} / {metrics.balanced_accuracy:.3f} / {auc}"
