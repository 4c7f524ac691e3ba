# SPDX-License-Identifier: MIT
"""What trainings came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from fedlethe.cli.demo import Demo
from fedlethe.cli.output.show import (
    as_object,
    detail_lines,
    evaluation_object,
    evaluations_table,
    fields_of,
    left_out_lines,
    lines_of,
    object_of,
    tables,
    warning_lines,
)
from fedlethe.results import Trained


@object_of.register
def _(result: Trained) -> dict[str, Any]:
    return {"warnings": result.warnings, **fields_of(result, "evaluation"), **evaluation_object(result.evaluation)}


@object_of.register
def _(result: Demo) -> dict[str, Any]:
    return {"trained": as_object(result.trained), "erasure": as_object(result.erasure), "page": result.page}


@lines_of.register
def _(result: Trained) -> Iterable[Table | str]:
    # Who is not in the model comes first: it is what a hospital that left asks for.
    yield from map(str, result.left_out_erased)
    yield from (f"taken back, though erased before: {client}" for client in result.taken_back)
    yield from (f"not checked: {problem}" for problem in result.not_checked)
    yield from warning_lines(result.warnings)
    yield evaluations_table("Test images", {"final model": result.evaluation})
    yield from detail_lines(result.evaluation)
    for entry in result.refused:
        yield f"round {entry.round}: the update of {entry.client} was refused: {entry.refused}"
    yield from left_out_lines(result.left_out)
    resumed = f" (went on after round {result.resumed_after})" if result.resumed_after else ""
    share = f"{100 * result.recording_share:.1f} % of it recording"
    rounds = "1 round" if result.rounds == 1 else f"{result.rounds} rounds"
    yield f"{rounds}{resumed}, {result.examples:,} examples, {result.seconds:.1f} s, {share}"
    yield f"a client sends {result.bytes_sent:,} bytes at the most"
    yield f"model: {result.model}"


@lines_of.register
def _(result: Demo) -> Iterable[Table | str]:
    yield from tables(result.erasure)
    yield f"trained in {result.trained.seconds:.0f} s; all plots and tables are on one page"
    yield f"Open: {result.page.absolute()}"
