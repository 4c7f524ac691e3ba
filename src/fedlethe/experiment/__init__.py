# SPDX-License-Identifier: MIT
"""Train, erase, study, report: the only package that sees every room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedlethe.config import Document, RunConfig, resolve
from fedlethe.experiment.catalogue import Catalogue, audits, methods
from fedlethe.experiment.compare import Comparison, compare
from fedlethe.experiment.cover import with_decoys
from fedlethe.experiment.demo import Demo, demo
from fedlethe.experiment.erasure import Erasure, erase
from fedlethe.experiment.frontier import EPSILONS, Frontier, frontier
from fedlethe.experiment.identity import Identity, identity
from fedlethe.experiment.overview import (
    DataOverview,
    Evaluated,
    Overview,
    data_overview,
    evaluate_model,
    history_overview,
)
from fedlethe.experiment.report import Report, report
from fedlethe.experiment.request import Request, request_for
from fedlethe.experiment.run import Run, opened_run, read_run_document
from fedlethe.experiment.studies import SIGMAS, Sweep, Trace, sweep, trace
from fedlethe.experiment.table import cells, write
from fedlethe.experiment.training import Trained, train_prepared, train_run

__all__ = [
    "EPSILONS",
    "SIGMAS",
    "Catalogue",
    "Comparison",
    "DataOverview",
    "Demo",
    "Erasure",
    "Evaluated",
    "Frontier",
    "Identity",
    "Overview",
    "Report",
    "Run",
    "Sweep",
    "Trace",
    "Trained",
    "audits",
    "cells",
    "compare",
    "config_for",
    "data_overview",
    "demo",
    "erase",
    "evaluate_model",
    "frontier",
    "history_overview",
    "identity",
    "methods",
    "opened_run",
    "report",
    "request",
    "sweep",
    "template",
    "trace",
    "train_prepared",
    "train_run",
    "write",
]


def config_for(document: Document, out: Path | None = None) -> RunConfig:
    """The configuration that a document stands for; an empty one stands for the run that `out` holds, if any.

    Raises:
        FedletheError: A key, name or value is wrong.
    """
    if not document and out is not None and (out / "run.toml").is_file():
        held = read_run_document(out)
        held.pop("run")
        return resolve(held, str(out / "run.toml"))
    return resolve(document)


def template(
    run: Run,
    method: str,
    options: Mapping[str, Any],
    mask: Mapping[str, Any],
    repair: Mapping[str, Any],
    decoys: int = 0,
) -> Request:
    """A request that names nobody yet (see `request`)."""
    return request_for(run.config, (), run.config.recipe(method), options, mask, repair, None, decoys)


def request(
    run: Run,
    clients: Sequence[str],
    method: str,
    options: Mapping[str, Any],
    mask: Mapping[str, Any],
    repair: Mapping[str, Any],
    after: str | None = None,
    decoys: int = 0,
) -> Request:
    """An erasure request by the name of a method or recipe, and plain values that lie over it; see `request_for`.

    Args:
        run: The run.
        clients: Who asked.
        method: A row of METHODS, or a recipe.
        options: Of the method.
        mask: Fields of Masking.
        repair: Fields of Repair.
        after: The erasure from whose result they are erased.
        decoys: How many others are erased along with them, drawn by the run's secret.
    """
    forget = with_decoys(run, clients, decoys, after)
    return request_for(run.config, forget, run.config.recipe(method), options, mask, repair, after, decoys)
