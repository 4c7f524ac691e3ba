# SPDX-License-Identifier: MIT
"""What a command has found, on stdout: a closing table, or one JSON object."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedlethe.audit.attackers import ATTACKERS
from fedlethe.catalogue import Catalogue
from fedlethe.cli.demo import Demo
from fedlethe.erasing.erase import Erasure
from fedlethe.learners.training import Trained
from fedlethe.pages.comparison_table import HEADER, cells
from fedlethe.pages.report import Report
from fedlethe.runs.inspection import DataOverview, Evaluated, Overview
from fedlethe.studies.compare import Comparison
from fedlethe.studies.frontier import Frontier
from fedlethe.studies.sweep_trace import Sweep, Trace
from fedlethe.studies.who_left import WhoLeft
from fedlethe.text import shown
from fedlethe.types import Evaluation, HidingPoint, Metrics

NAMED = "server, outsider, full: how often attackers with the server's view, proxy data, full knowledge name the client"


BOUND = (
    "bound, blind: how often the best attacker, at most, and a blind one name the client; one asks at a time, so "
    "naming who left and picking one who left are the same"
)


def show(result: Any, as_json: bool) -> None:
    """Print a command's result."""
    if as_json:
        print(json.dumps(as_object(result), default=_plain, indent=2, allow_nan=False))
        return
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # a '[' in a text is a '['
    for part in tables(result):
        console.print(shown(part) if isinstance(part, str) else _as_letters(part))


def _as_letters(table: Table) -> Table:
    """The table with every text in it as it may be shown (see `text.shown`); the lines of a heading are our own."""
    table.title = None if table.title is None else shown(table.title)
    for column in table.columns:
        column.header = shown(column.header, lines=True)
        column._cells[:] = [shown(cell) for cell in column._cells]  # a column has no other way to change its cells
    return table


def evaluation_object(evaluation: Evaluation) -> dict[str, Any]:
    """Overall metrics at the top level, each client's under 'clients'."""
    clients = {client: dataclasses.asdict(metrics) for client, metrics in evaluation.clients.items()}
    return {**dataclasses.asdict(evaluation.overall), "clients": clients}


@singledispatch
def as_object(result: Any) -> dict[str, Any]:
    """The JSON object of a result: its fields by name, if nothing else is said of its kind."""
    return dataclasses.asdict(result)


@as_object.register
def _(result: Trained) -> dict[str, Any]:
    return {**_fields(result, "evaluation"), **evaluation_object(result.evaluation)}


@as_object.register
def _(result: Comparison) -> dict[str, Any]:
    return {
        **dataclasses.asdict(result),
        "rows": [{**dataclasses.asdict(row), "share": row.share} for row in result.rows],
    }


@as_object.register
def _(result: Evaluated) -> dict[str, Any]:
    return {**_fields(result, "evaluation"), **evaluation_object(result.evaluation)}


@as_object.register
def _(result: Erasure) -> dict[str, Any]:
    stages = [
        {"stage": stage.name, **evaluation_object(stage.evaluation), "cost": dataclasses.asdict(stage.cost)}
        for stage in result.stages
    ]
    return {
        **_fields(result, "stages", "cost", "request"),
        "request": json.loads(result.request),
        "hidden": None if result.hidden is None else result.hidden.figures,
        **evaluation_object(result.stages[-1].evaluation),
        "examples": result.cost.examples,
        "seconds": result.cost.seconds,
        "bytes_moved": result.cost.bytes_moved,
        "cheaper_than_retraining": _cheaper(result),
        "stages": stages,
    }


@as_object.register
def _(result: Sweep) -> dict[str, Any]:
    points = [
        {
            "client": point.client,
            "sigma": point.sigma,
            "draw": point.draw,
            **dataclasses.asdict(point.evaluation.overall),
            "own_images": point.evaluation.clients.get(point.client),
        }
        for point in result.points
    ]
    return {
        **_fields(result, "points", "untouched"),
        "untouched": evaluation_object(result.untouched),
        "points": points,
    }


@as_object.register
def _(result: Trace) -> dict[str, Any]:
    points = [
        {
            "round": point.round,
            "trained": evaluation_object(point.trained),
            "unlearned": evaluation_object(point.unlearned),
        }
        for point in result.points
    ]
    return {**_fields(result, "points"), "points": points}


@as_object.register
def _(result: Demo) -> dict[str, Any]:
    return {"trained": as_object(result.trained), "erasure": as_object(result.erasure), "page": result.page}


@singledispatch
def tables(result: Any) -> Iterable[Table | str]:
    """What is printed of a result."""
    raise TypeError(type(result))


@tables.register
def _(result: Trained) -> Iterable[Table | str]:
    yield from map(str, result.left_out_erased)
    yield from (f"taken back, though erased before: {client}" for client in result.taken_back)
    yield from (f"not checked: {problem}" for problem in result.not_checked)
    yield _evaluations("Test images", {"final model": result.evaluation})
    for entry in result.refused:
        yield f"round {entry.round}: the update of {entry.client} was refused: {entry.refused}"
    yield from _left_out(result.left_out)
    resumed = f" (went on after round {result.resumed_after})" if result.resumed_after else ""
    share = f"{100 * result.recording_share:.1f} % of it recording"
    rounds = "1 round" if result.rounds == 1 else f"{result.rounds} rounds"
    yield f"{rounds}{resumed}, {result.examples:,} examples, {result.seconds:.1f} s, {share}"
    yield f"a client sends {result.bytes_sent:,} bytes at the most"
    yield f"model: {result.model}"


@tables.register
def _(result: Evaluated) -> Iterable[Table | str]:
    yield _evaluations(f"{result.split.capitalize()} images", {"": result.evaluation})
    yield f"model: {result.model}"


@tables.register
def _(result: Erasure) -> Iterable[Table | str]:
    title = f"Erasure {result.id}: {result.subject} by {result.method}"
    yield _evaluations(title, {stage.name: stage.evaluation for stage in result.stages}, marked=result.forget)
    yield f"guarantee: {result.guarantee or 'none: evidence'}"
    yield from (f"who left: {line}" for line in result.hiding)
    cheaper = _cheaper(result)
    ratio = "free" if cheaper is None else f"{cheaper:.1f}x fewer" if cheaper >= 1 else f"{1 / cheaper:.1f}x more"
    against = f"{ratio}; retraining takes {result.retraining_examples:,}"
    yield f"examples: {result.cost.examples:,} ({against}), {result.cost.seconds:.1f} s"
    yield f"model: {result.model}" if result.model.exists() else f"model: {result.model} (a later purge removed it)"


@tables.register
def _(result: Comparison) -> Iterable[Table | str]:
    title = f"{', '.join(result.forget)} erased; {len(result.seeds)} seeds against {result.references} retrainings"
    table = Table(*HEADER, title=title)
    for row in result.rows:
        table.add_row(*cells(row))
    yield table
    yield f"Open: {(result.out / 'index.html').absolute()}"


@tables.register
def _(result: Catalogue) -> Iterable[Table | str]:
    table = Table("name", "what it does", "paper", "needs", "defaults", title=result.title, show_lines=True)
    for row in result.rows:
        defaults = ", ".join(f"{name} = {value}" for name, value in row.defaults.items())
        table.add_row(row.name, row.what, row.paper, "; ".join(row.needs) or "nothing", defaults or "none")
    yield table


@tables.register
def _(result: Sweep) -> Iterable[Table | str]:
    table = Table("client erased", "sigma", "draws", "accuracy, mean", "least", "most", title="Accuracy against sigma")
    accuracies: dict[tuple[str, float], list[float]] = {}
    for point in result.points:
        accuracies.setdefault((point.client, point.sigma), []).append(point.evaluation.overall.accuracy)
    for (client, sigma), values in accuracies.items():
        cells = (f"{value:.3f}" for value in (sum(values) / len(values), min(values), max(values)))
        table.add_row(client, f"{sigma:g}", str(len(values)), *cells)
    yield table
    yield f"untouched model: {result.untouched.overall.accuracy:.3f}"
    yield f"plot: {result.run / 'report' / 'sweep.png'}"


@tables.register
def _(result: Frontier) -> Iterable[Table | str]:
    for setting in dict.fromkeys(point.setting for point in result.points if point.setting):
        own = [point for point in result.points if point.setting in ("", setting)]
        title = f"Hiding who left: {setting}, {result.draws} draws for each client"
        yield _hiding_table(title, own, lambda point: point.mask)
    yield f"epsilon, at delta {result.delta:g}, and the bound cover a masked model that is released once, not repaired"
    yield BOUND
    yield NAMED
    yield f"plot: {result.run / 'report' / 'frontier.png'}"


@tables.register
def _(result: WhoLeft) -> Iterable[Table | str]:
    setting = result.points[0].setting
    title = f"Who left? {setting}, each client erased {result.draws} times"
    yield _hiding_table(title, result.points, lambda point: point.stage)
    yield "a bound covers the model at that stage, released once; where there is none, nothing is guaranteed"
    yield BOUND
    yield NAMED
    yield f"plot: {result.run / 'report' / 'identity.png'}"


@tables.register
def _(result: Trace) -> Iterable[Table | str]:
    table = Table("round", "global model", "unlearned", title=f"Accuracy, {result.client} erased at each round")
    for point in result.points:
        table.add_row(
            str(point.round), f"{point.trained.overall.accuracy:.3f}", f"{point.unlearned.overall.accuracy:.3f}"
        )
    yield table
    yield f"plots: {result.run / 'report'}"


@tables.register
def _(result: Overview) -> Iterable[Table | str]:
    table = Table("kept", "files", "bytes", title=f"{result.run}: {result.rounds} of {result.planned_rounds} rounds")
    for kept in result.kept:
        table.add_row(kept.kind, str(kept.files), f"{kept.bytes:,}")
    table.add_row("all", str(sum(kept.files for kept in result.kept)), f"{sum(kept.bytes for kept in result.kept):,}")
    yield table
    yield "keeps: " + "; ".join(result.keeps)
    if result.check is not None:
        check = result.check
        yield f"{check.files} files have the bytes that the ledger names"
        if check.rounds_rebuilt is not None:
            yield f"{check.rounds_rebuilt} rounds rebuilt from the initial model and the deltas, bit for bit"
        if check.influence_residual is not None:
            size = f"relative difference {check.influence_residual:.1e} (rounding allows {check.influence_bound:.1e})"
            yield f"initial model + influences = final model: {size}"


@tables.register
def _(result: DataOverview) -> Iterable[Table | str]:
    columns = [f"{split} {name}" for split in result.counts for name in result.classes]
    table = Table("client", *columns, title=f"{result.source}, images of shape {result.image_shape}")
    for client in next(iter(result.counts.values())):
        table.add_row(client, *(str(held[client][name]) for held in result.counts.values() for name in result.classes))
    yield table
    yield from _left_out(result.left_out)
    yield f"fingerprint: {result.fingerprint}"
    yield from (f"picture: {picture}" for picture in result.pictures)


@tables.register
def _(result: Demo) -> Iterable[Table | str]:
    yield from tables(result.erasure)
    yield f"trained in {result.trained.seconds:.0f} s; all plots and tables are on one page"
    yield f"Open: {result.page.absolute()}"


@tables.register
def _(result: Report) -> Iterable[Table | str]:
    yield f"Open: {result.page.absolute()}"


def _hiding_table(title: str, points: Sequence[HidingPoint], rows: Callable[[HidingPoint], str]) -> Table:
    """A row for each way of hiding; an attacker's column is the share of its guesses that named the client."""
    columns = ("epsilon", "bound", "blind", "accuracy", "AUC", "backdoor", "server", "outsider", "full")
    table = Table("", *columns, title=title)
    for point in points:
        figures = (point.accuracy, point.auc, point.attack_success)
        rates = {one.attacker: f"{one.hits / one.trials:.3f}" for one in point.named}
        table.add_row(
            rows(point),
            "-" if point.epsilon is None else f"{point.epsilon:.3g}",
            "-" if point.bound is None else f"{point.bound:.3f}",
            f"{point.chance:.3f}",
            *("-" if figure is None else f"{figure.mean:.3f}" for figure in figures),
            *(rates.get(attacker, "-") for attacker in ATTACKERS),
        )
    return table


def _evaluations(title: str, columns: Mapping[str, Evaluation], marked: Sequence[str] = ()) -> Table:
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
    return table


def _cell(metrics: Metrics) -> str:
    auc = "-" if metrics.auc is None else f"{metrics.auc:.3f}"
    return f"{metrics.accuracy:.3f} / {metrics.balanced_accuracy:.3f} / {auc}"


def _left_out(left_out: Mapping[str, int]) -> Iterable[str]:
    if left_out:
        yield "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())


def _cheaper(erasure: Erasure) -> float | None:
    return erasure.retraining_examples / erasure.cost.examples if erasure.cost.examples else None


def _fields(result: Any, *without: str) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(result))
    return {name: getattr(result, name) for name in names if name not in without}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value))
