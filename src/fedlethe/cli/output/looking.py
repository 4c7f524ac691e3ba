# SPDX-License-Identifier: MIT
"""What was looked at: models, histories, data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from fedlethe.cli.output.show import (
    detail_lines,
    evaluation_object,
    evaluations_table,
    fields_of,
    left_out_lines,
    lines_of,
    object_of,
    warning_lines,
)
from fedlethe.results import DataOverview, Evaluated, Overview


@object_of.register
def _(result: Evaluated) -> dict[str, Any]:
    return {"warnings": result.warnings, **fields_of(result, "evaluation"), **evaluation_object(result.evaluation)}


@lines_of.register
def _(result: Evaluated) -> Iterable[Table | str]:
    yield from warning_lines(result.warnings)
    yield evaluations_table(f"{result.split.capitalize()} images", {"": result.evaluation})
    yield from detail_lines(result.evaluation)
    yield f"model: {result.model}"


@lines_of.register
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


@lines_of.register
def _(result: DataOverview) -> Iterable[Table | str]:
    columns = [f"{split} {name}" for split in result.counts for name in result.classes]
    table = Table("client", *columns, title=f"{result.source}, images of shape {result.image_shape}")
    # Every split names every client, also those who have nothing in it.
    for client in next(iter(result.counts.values())):
        table.add_row(client, *(str(held[client][name]) for held in result.counts.values() for name in result.classes))
    yield table
    yield from left_out_lines(result.left_out)
    yield f"fingerprint: {result.fingerprint}"
    yield from (f"picture: {picture}" for picture in result.pictures)
