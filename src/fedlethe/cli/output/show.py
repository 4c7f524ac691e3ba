# SPDX-License-Identifier: MIT
"""What a command has found, on stdout: a closing table, or one JSON object.

Each family of results has a file beside this one, which is imported when one of its results is to be shown.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedlethe.cli.output.results_alone import results
from fedlethe.results import Evaluation, Metrics
from fedlethe.text import shown  # what others wrote is printed as letters, as in every file and page

FAMILIES = {
    "CacheCleared": "cached",
    "CacheContent": "cached",
    "Carried": "carried",
    "Catalogue": "listed",
    "Comparison": "studies",
    "DataOverview": "looking",
    "Demo": "trainings",
    "Erasure": "erasures",
    "ErasureRequest": "requests",
    "Evaluated": "looking",
    "Frontier": "studies",
    "NewKey": "requests",
    "OfRun": "requests",
    "Overview": "looking",
    "Purged": "carried",
    "Report": "written",
    "Requests": "requests",
    "Sweep": "studies",
    "Trace": "studies",
    "Trained": "trainings",
    "Verified": "requests",
    "WhoLeft": "studies",
}
"""A kind of result, to the file that shows it."""


def show(result: Any, as_json: bool) -> None:
    """Print a command's result."""
    if as_json:
        # Plain `print`: rich would fold long lines, and NaN would be no JSON.
        print(json.dumps(as_object(result), default=_plain, indent=2, allow_nan=False), file=results())
        return
    console = Console(
        file=results(), highlight=False, soft_wrap=True, markup=False, emoji=False
    )  # a '[' in a text is a '['
    for part in tables(result):
        console.print(shown(part) if isinstance(part, str) else _as_letters(part))


def say(text: str) -> None:
    """Print the lines of a command that has no table."""
    print(shown(text, lines=True), file=results())


def as_object(result: Any) -> dict[str, Any]:
    """The JSON object of a result."""
    _family(result)
    return object_of(result)


def tables(result: Any) -> Iterable[Table | str]:
    """What is printed of a result."""
    _family(result)
    return lines_of(result)


def _family(result: Any) -> None:
    """Import the file that shows such results."""
    # By the type's name, not by an import: a command would wait for every family's libraries.
    if (family := FAMILIES.get(type(result).__name__)) is not None:
        import_module(f"fedlethe.cli.output.{family}")


@singledispatch
def object_of(result: Any) -> dict[str, Any]:
    """The JSON object of a kind of result: its fields by name, if nothing else is said of it."""
    return dataclasses.asdict(result)


@singledispatch
def lines_of(result: Any) -> Iterable[Table | str]:
    """What is printed of a kind of result."""
    raise TypeError(type(result))


def evaluation_object(evaluation: Evaluation) -> dict[str, Any]:
    """Overall metrics at the top level, each client's under 'clients'."""
    clients = {client: _figures(metrics) for client, metrics in evaluation.clients.items()}
    retained = None if evaluation.retained is None else _figures(evaluation.retained)
    return {**_figures(evaluation.overall), "retained": retained, "clients": clients}


def _figures(metrics: Metrics) -> dict[str, Any]:
    derived = {name: getattr(metrics, name) for name in ("sensitivity", "specificity", "commonest")}
    return {**dataclasses.asdict(metrics), **derived}


def warning_lines(warnings: Iterable[str]) -> Iterable[str]:
    """What must be known before a table is read, first of all."""
    yield from (f"warning: {warning}" for warning in warnings)


def detail_lines(evaluation: Evaluation) -> Iterable[str]:
    """What a table's cells have no room for, of all images and of those of the retained."""
    for whose, metrics in (("all", evaluation.overall), ("retained", evaluation.retained)):
        if metrics is None or not metrics.confusion:
            continue
        low, high = metrics.auc_interval or (None, None)
        figures = {
            "sensitivity": metrics.sensitivity,
            "specificity": metrics.specificity,
            "calibration error": metrics.calibration,
            "AUC from": low,
            "to": high,
            "accuracy of answering the commonest class": metrics.commonest,
        }
        told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)
        yield f"{whose}: {told}".replace(", to", " to")


def _as_letters(table: Table) -> Table:
    """The table with every text in it as it may be shown (see `text.shown`); the lines of a heading are our own."""
    # A heading is ours, but a column's can be a client's name: both are printed as letters.
    table.title = None if table.title is None else shown(table.title)
    for column in table.columns:
        column.header = shown(column.header, lines=True)
        column._cells[:] = [shown(cell) for cell in column._cells]  # a column has no other way to change its cells
    return table


def evaluations_table(title: str, columns: Mapping[str, Evaluation], marked: Sequence[str] = ()) -> Table:
    """A row for each client, a column for each evaluation; `marked` clients are said to be erased."""
    table = Table("client", "images", title=title)
    for name in columns:
        table.add_column(f"{name}\naccuracy / balanced / AUC".strip(), justify="right")
    clients = list(next(iter(columns.values())).clients)
    for client in clients:
        held = [evaluation.clients[client] for evaluation in columns.values()]
        label = f"{client} (erased)" if client in marked else client
        table.add_row(label, str(held[0].num_examples), *map(_cell, held))
    overall = [evaluation.overall for evaluation in columns.values()]
    table.add_row("all", str(overall[0].num_examples), *map(_cell, overall), style="bold")
    retained = [evaluation.retained for evaluation in columns.values() if evaluation.retained is not None]
    if len(retained) == len(columns):
        table.add_row("retained", str(retained[0].num_examples), *map(_cell, retained), style="bold")
    return table


def _cell(metrics: Metrics) -> str:
    auc = "-" if metrics.auc is None else f"{metrics.auc:.3f}"
    balanced = "-" if metrics.one_class else f"{metrics.balanced_accuracy:.3f}"
    return f"{metrics.accuracy:.3f} / {balanced} / {auc}"


def left_out_lines(left_out: Mapping[str, int]) -> Iterable[str]:
    """What was not taken of the data, and why; nothing where all was."""
    if left_out:
        yield "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())


def fields_of(result: Any, *without: str) -> dict[str, Any]:
    """A dataclass's fields by name, save some."""
    names = (field.name for field in dataclasses.fields(result))
    return {name: getattr(result, name) for name in names if name not in without}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value))
