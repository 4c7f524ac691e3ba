# SPDX-License-Identifier: MIT
"""Train, erase, study, report: the only package that sees every room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedlethe.config import RunConfig, resolve
from fedlethe.document import Document
from fedlethe.errors import FedletheError
from fedlethe.experiment import act
from fedlethe.experiment.act import Carried, Plan, Purged, purge_due
from fedlethe.experiment.caching import (
    CacheCleared,
    CacheContent,
    Cached,
    cache_content,
    clear_cache,
    config_of_run,
    document_of,
)
from fedlethe.experiment.catalogue import Catalogue, audits, methods
from fedlethe.experiment.compare import Comparison, compare
from fedlethe.experiment.cover import with_decoys
from fedlethe.experiment.demo import Demo, demo
from fedlethe.experiment.erasure import Erasure, erase
from fedlethe.experiment.erasure import erasures as _erasures
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
from fedlethe.experiment.requests import ErasureRequest, Requests, listed, open_request, withdraw
from fedlethe.experiment.run import Run, opened_run, read_run_document
from fedlethe.experiment.studies import SIGMAS, Sweep, Trace, sweep, trace
from fedlethe.experiment.table import cells, write
from fedlethe.experiment.training import Trained, train_prepared, train_run
from fedlethe.experiment.verification import Verified, verify_certificate, verify_ledger
from fedlethe.signing import SigningKey, new_key, public_path, read_signing_key


@dataclass(frozen=True, slots=True)
class NewKey:
    """A signing key that was made: its files, and its id."""

    private: Path
    public: Path
    id: str


__all__ = [
    "EPSILONS",
    "SIGMAS",
    "CacheCleared",
    "CacheContent",
    "Cached",
    "Carried",
    "Catalogue",
    "Comparison",
    "DataOverview",
    "Demo",
    "Erasure",
    "ErasureRequest",
    "Evaluated",
    "Frontier",
    "Identity",
    "NewKey",
    "Overview",
    "Purged",
    "Report",
    "Requests",
    "Run",
    "Sweep",
    "Trace",
    "Trained",
    "Verified",
    "audits",
    "cache_content",
    "carry_out",
    "cells",
    "clear_cache",
    "compare",
    "config_for",
    "config_of_run",
    "data_overview",
    "demo",
    "document_of",
    "erase",
    "evaluate_model",
    "frontier",
    "history_overview",
    "identity",
    "listed",
    "methods",
    "new_signing_key",
    "open_request",
    "opened_run",
    "purge_due",
    "report",
    "request",
    "signing_key",
    "sweep",
    "template",
    "trace",
    "train_prepared",
    "train_run",
    "verify_certificate",
    "verify_ledger",
    "withdraw",
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
    return request_for(run.config, (), run.config.recipe(method), options, mask, repair, run.history.base, decoys)


def carry_out(
    run: Run,
    id: str,
    asked: tuple[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str | None, int, int, str | None] | None,
    key: SigningKey,
    accepted: Mapping[str, str] | None = None,
    lost: Mapping[str, str] | None = None,
) -> Carried:
    """Carry a request out as it is asked for (the fields of `act.Plan`), or go on with it; see `act.carry_out`."""
    return act.carry_out(run, id, None if asked is None else Plan.of(*asked), key, accepted=accepted, lost=lost)


def signing_key(path: Path | None) -> SigningKey:
    """The key that signs certificates.

    Raises:
        FedletheError: None is named, or its file cannot be used.
    """
    if path is None:
        raise FedletheError("--key: a certificate has to be signed; make a key with: fedlethe key new erasure.key")
    return read_signing_key(path)


def new_signing_key(path: Path) -> NewKey:
    """Make a key that signs certificates; see `signing.new_key`."""
    return NewKey(path, public_path(path), new_key(path).public.id)


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
        after: The erasure from whose result they are erased; None for the run's own model.
        decoys: How many others are erased along with them, drawn by the erasure's secret.
    """
    if run.config.exact is None and options.get("patients"):
        how = "fedlethe request RUN --client C --patient P, then fedlethe erase RUN --request ID"
        raise FedletheError(f"--patient: a network's patients are erased by a request, and purged with it: {how}")
    begun = after or run.history.base
    before = [one.forget for one in _erasures(run) if decoys and one.decoyed and one.after == begun]
    asked = request_for(run.config, clients, run.config.recipe(method), options, mask, repair, begun, decoys)
    return replace(asked, forget=with_decoys(run, clients, decoys, begun, before))
