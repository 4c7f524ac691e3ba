# SPDX-License-Identifier: MIT
"""Train, erase, study, report: the only package that sees every room."""

from __future__ import annotations

from fedlethe.catalogue import Catalogue, audits, methods
from fedlethe.erasing.erase import Erasure, erase
from fedlethe.erasing.planning import plan_erasure, plan_for_nobody
from fedlethe.history.request_log import ErasureRequest, Requests
from fedlethe.learners.training import Trained, train_prepared, train_run
from fedlethe.pages.comparison_table import cells, write
from fedlethe.pages.report import Report, report
from fedlethe.requests.carry_out import Carried, Plan, Purged, carry_out, purge_due
from fedlethe.requests.request import listed, open_request, withdraw
from fedlethe.requests.signing import NewKey, new_signing_key, signing_key
from fedlethe.requests.verify import Verified, verify_certificate, verify_ledger
from fedlethe.runs.cached_images import (
    CacheCleared,
    CacheContent,
    Cached,
    cache_content,
    clear_cache,
    config_of_run,
    document_of,
)
from fedlethe.runs.inspection import DataOverview, Evaluated, Overview, data_overview, evaluate_model, history_overview
from fedlethe.runs.run import Run, config_for, opened_run
from fedlethe.studies.compare import Comparison, compare
from fedlethe.studies.frontier import EPSILONS, Frontier, frontier
from fedlethe.studies.sweep_trace import SIGMAS, Sweep, Trace, sweep, trace
from fedlethe.studies.who_left import Identity, identity

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
    "Erasure",
    "ErasureRequest",
    "Evaluated",
    "Frontier",
    "Identity",
    "NewKey",
    "Overview",
    "Plan",
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
    "plan_erasure",
    "plan_for_nobody",
    "purge_due",
    "report",
    "signing_key",
    "sweep",
    "trace",
    "train_prepared",
    "train_run",
    "verify_certificate",
    "verify_ledger",
    "withdraw",
    "write",
]
