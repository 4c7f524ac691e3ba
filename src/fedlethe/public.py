# SPDX-License-Identifier: MIT
"""Train, erase, study, report: the only package that sees every room."""

from __future__ import annotations

from fedlethe.catalogue import Catalogue, audits, methods
from fedlethe.config import RECOMMENDED
from fedlethe.erasing.erase import Erasure, erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure, order_for_nobody
from fedlethe.history.request_log import ErasureRequest, Requests
from fedlethe.learners.training import Trained, train_prepared, train_run
from fedlethe.pages.comparison_table import cells, write_comparison
from fedlethe.pages.report import Report, report
from fedlethe.requests.carry_out import Carried, Purged, carry_out, purge_due
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
    document_of_run,
)
from fedlethe.runs.inspection import DataOverview, Evaluated, Overview, data_overview, evaluate_model, history_overview
from fedlethe.runs.run import OpenRun, config_for, opened_run
from fedlethe.studies.compare import Comparison, compare
from fedlethe.studies.frontier import EPSILONS, Frontier, frontier
from fedlethe.studies.sweep_trace import SIGMAS, Sweep, Trace, sweep, trace
from fedlethe.studies.who_left import WhoLeft, who_left

__all__ = [
    "EPSILONS",
    "RECOMMENDED",
    "SIGMAS",
    "CacheCleared",
    "CacheContent",
    "Cached",
    "Carried",
    "Catalogue",
    "Comparison",
    "DataOverview",
    "Erasure",
    "ErasurePlan",
    "ErasureRequest",
    "Evaluated",
    "Frontier",
    "NewKey",
    "OpenRun",
    "Overview",
    "Purged",
    "Report",
    "Requests",
    "Sweep",
    "Trace",
    "Trained",
    "Verified",
    "WhoLeft",
    "audits",
    "cache_content",
    "carry_out",
    "cells",
    "clear_cache",
    "compare",
    "config_for",
    "config_of_run",
    "data_overview",
    "document_of_run",
    "erase",
    "evaluate_model",
    "frontier",
    "history_overview",
    "listed",
    "methods",
    "new_signing_key",
    "open_request",
    "opened_run",
    "order_erasure",
    "order_for_nobody",
    "purge_due",
    "report",
    "signing_key",
    "sweep",
    "trace",
    "train_prepared",
    "train_run",
    "verify_certificate",
    "verify_ledger",
    "who_left",
    "withdraw",
    "write_comparison",
]
