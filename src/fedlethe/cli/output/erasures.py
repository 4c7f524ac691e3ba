# SPDX-License-Identifier: MIT
"""What one erasure did."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from fedlethe.cli.output.show import (
    detail_lines,
    evaluation_object,
    evaluations_table,
    fields_of,
    lines_of,
    object_of,
    warning_lines,
)
from fedlethe.results import Erasure


@object_of.register
def _(result: Erasure) -> dict[str, Any]:
    stages = [
        {"stage": stage.name, **evaluation_object(stage.evaluation), "cost": dataclasses.asdict(stage.cost)}
        for stage in result.stages
    ]
    return {
        "warnings": result.warnings,
        **fields_of(result, "stages", "cost"),
        "hidden": None if result.hidden is None else result.hidden.figures,
        **evaluation_object(result.stages[-1].evaluation),
        "examples": result.cost.examples,
        "seconds": result.cost.seconds,
        "bytes_moved": result.cost.bytes_moved,
        "cheaper_than_retraining": _cheaper(result),
        "stages": stages,
    }


@lines_of.register
def _(result: Erasure) -> Iterable[Table | str]:
    yield from warning_lines(result.warnings)
    title = f"Erasure {result.id}: {result.subject} by {result.method}"
    yield evaluations_table(title, {stage.name: stage.evaluation for stage in result.stages}, marked=result.forget)
    yield from detail_lines(result.stages[-1].evaluation)
    yield f"guarantee: {result.guarantee or 'none: evidence'}"
    yield from (f"who left: {line}" for line in result.hiding)
    against = f"{_ratio(result)}; retraining takes {result.retraining}"
    yield f"examples: {result.cost.examples:,} ({against}), {result.cost.seconds:.1f} s"
    # The record stays in the ledger after a purge, and must not send anybody to a file that is gone.
    yield f"model: {result.model}" if result.model.exists() else f"model: {result.model} (a later purge removed it)"


def _ratio(erasure: Erasure) -> str:
    # No examples were trained on where only sums were subtracted: there is no ratio to nothing.
    if (cheaper := _cheaper(erasure)) is None:
        return "free"
    if not cheaper:  # of the retained nobody took part in a round
        return "there is nothing to retrain"
    fewer, more = ("at most ", "at least ") if erasure.retraining_at_most else ("", "")
    return f"{fewer}{cheaper:.1f}x fewer" if cheaper >= 1 else f"{more}{1 / cheaper:.1f}x more"


def _cheaper(erasure: Erasure) -> float | None:
    return erasure.retraining_examples / erasure.cost.examples if erasure.cost.examples else None
