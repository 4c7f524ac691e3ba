# SPDX-License-Identifier: MIT
"""What studies of many erasures found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.table import Table

from fedlethe.cli.output.show import evaluation_object, fields_of, lines_of, object_of
from fedlethe.pages.comparison_table import HEADER, cells  # one table, on the page and in the terminal
from fedlethe.results import Comparison, Frontier, HidingPoint, Sweep, Trace, WhoLeft

ATTACKERS = {"server view": "server", "outsider": "outsider", "full knowledge": "full"}
"""An attacker's name in a result, to the heading of its column."""

NAMED = "server, outsider, full: how often attackers with the server's view, proxy data, full knowledge name the client"

BOUND = (
    "bound, blind: how often the best attacker, at most, and a blind one name the client; one asks at a time, so "
    "naming who left and picking one who left are the same"
)


@object_of.register
def _(result: Comparison) -> dict[str, Any]:
    return {
        **dataclasses.asdict(result),
        "rows": [{**dataclasses.asdict(row), "share": row.share} for row in result.rows],
    }


@object_of.register
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
        **fields_of(result, "points", "untouched"),
        "untouched": evaluation_object(result.untouched),
        "points": points,
    }


@object_of.register
def _(result: Trace) -> dict[str, Any]:
    points = [
        {
            "round": point.round,
            "trained": evaluation_object(point.trained),
            "unlearned": evaluation_object(point.unlearned),
        }
        for point in result.points
    ]
    return {**fields_of(result, "points"), "points": points}


@lines_of.register
def _(result: Comparison) -> Iterable[Table | str]:
    title = f"{', '.join(result.forget)} erased; {len(result.seeds)} seeds against {result.references} retrainings"
    table = Table(*HEADER, title=title)
    for row in result.rows:
        table.add_row(*cells(row))
    yield table
    yield f"Open: {(result.out / 'index.html').absolute()}"


@lines_of.register
def _(result: Sweep) -> Iterable[Table | str]:
    table = Table("client erased", "sigma", "draws", "accuracy, mean", "least", "most", title="Accuracy against sigma")
    # A row for each draw would be a hundred; the mean and the ends of their range tell enough.
    accuracies: dict[tuple[str, float], list[float]] = {}
    for point in result.points:
        accuracies.setdefault((point.client, point.sigma), []).append(point.evaluation.overall.accuracy)
    for (client, sigma), values in accuracies.items():
        cells = (f"{value:.3f}" for value in (sum(values) / len(values), min(values), max(values)))
        table.add_row(client, f"{sigma:g}", str(len(values)), *cells)
    yield table
    yield f"untouched model: {result.untouched.overall.accuracy:.3f}"
    yield f"plot: {result.run / 'report' / 'sweep.png'}"


@lines_of.register
def _(result: Frontier) -> Iterable[Table | str]:
    for setting in dict.fromkeys(point.setting for point in result.points if point.setting):
        # Points without a setting are of no mask at all: they stand in every table, to be held against.
        own = [point for point in result.points if point.setting in ("", setting)]
        title = f"Hiding who left: {setting}, {result.draws} draws for each client"
        yield _hiding_table(title, own, lambda point: point.mask)
    yield f"epsilon, at delta {result.delta:g}, and the bound cover a masked model that is released once, not repaired"
    yield BOUND
    yield NAMED
    yield f"plot: {result.run / 'report' / 'frontier.png'}"


@lines_of.register
def _(result: WhoLeft) -> Iterable[Table | str]:
    setting = result.points[0].setting
    title = f"Who left? {setting}, each client erased {result.draws} times"
    yield _hiding_table(title, result.points, lambda point: point.stage)
    yield "a bound covers the model at that stage, released once; where there is none, nothing is guaranteed"
    yield BOUND
    yield NAMED
    yield f"plot: {result.run / 'report' / 'identity.png'}"


@lines_of.register
def _(result: Trace) -> Iterable[Table | str]:
    table = Table("round", "global model", "unlearned", title=f"Accuracy, {result.client} erased at each round")
    for point in result.points:
        table.add_row(
            str(point.round), f"{point.trained.overall.accuracy:.3f}", f"{point.unlearned.overall.accuracy:.3f}"
        )
    yield table
    yield f"plots: {result.run / 'report'}"


def _hiding_table(title: str, points: Sequence[HidingPoint], rows: Callable[[HidingPoint], str]) -> Table:
    """A row for each way of hiding; an attacker's column is the share of its guesses that named the client."""
    columns = ("epsilon", "bound", "blind", "accuracy", "AUC", "backdoor", *ATTACKERS.values())
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
