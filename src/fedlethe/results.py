# SPDX-License-Identifier: MIT
"""What the functions of the public face return, and what is in it: frozen values, their fields in their documentation.

A program needs these names for its annotations alone; the values come from `fedlethe`. They are imported when they are
asked for.

Example:
    >>> from fedlethe.results import Erasure
    >>> def summary(erasure: Erasure) -> str:
    ...     return f"{erasure.id}: {erasure.method}"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlethe.later import names_from

if TYPE_CHECKING:
    from fedlethe.audit.evidence import Finding as Finding
    from fedlethe.audit.evidence import Measured as Measured
    from fedlethe.data.holdings import Holding as Holding
    from fedlethe.erasing.auditing import Attested as Attested
    from fedlethe.erasing.record import Erasure as Erasure
    from fedlethe.history.entries import Participation as Participation
    from fedlethe.history.request_log import ErasureRequest as ErasureRequest
    from fedlethe.history.request_log import Requests as Requests
    from fedlethe.learners.training import Trained as Trained
    from fedlethe.pages.report import Report as Report
    from fedlethe.privacy.hiding import Hidden as Hidden
    from fedlethe.requests.carry_out import Carried as Carried
    from fedlethe.requests.carry_out import Purged as Purged
    from fedlethe.requests.checks import Check as Check
    from fedlethe.requests.signing import NewKey as NewKey
    from fedlethe.requests.verify import Verified as Verified
    from fedlethe.runs.beginning import LeftOut as LeftOut
    from fedlethe.runs.cached_images import CacheCleared as CacheCleared
    from fedlethe.runs.cached_images import CacheContent as CacheContent
    from fedlethe.runs.cached_images import Cached as Cached
    from fedlethe.runs.inspection import DataOverview as DataOverview
    from fedlethe.runs.inspection import Evaluated as Evaluated
    from fedlethe.runs.inspection import HistoryCheck as HistoryCheck
    from fedlethe.runs.inspection import Kept as Kept
    from fedlethe.runs.inspection import Overview as Overview
    from fedlethe.studies.compare import Comparison as Comparison
    from fedlethe.studies.compare import Row as Row
    from fedlethe.studies.frontier import Frontier as Frontier
    from fedlethe.studies.sweep import Sweep as Sweep
    from fedlethe.studies.trace import Trace as Trace
    from fedlethe.studies.who_left import WhoLeft as WhoLeft
    from fedlethe.types import Cost as Cost
    from fedlethe.types import Evaluation as Evaluation
    from fedlethe.types import Guarantee as Guarantee
    from fedlethe.types import HidingPoint as HidingPoint
    from fedlethe.types import Metrics as Metrics
    from fedlethe.types import Spread as Spread
    from fedlethe.types import Stage as Stage
    from fedlethe.types import SweepPoint as SweepPoint
    from fedlethe.types import TimesNamed as TimesNamed
    from fedlethe.types import TracePoint as TracePoint

_PLACES = {
    "Attested": "erasing.auditing",
    "CacheCleared": "runs.cached_images",
    "CacheContent": "runs.cached_images",
    "Cached": "runs.cached_images",
    "Carried": "requests.carry_out",
    "Check": "requests.checks",
    "Comparison": "studies.compare",
    "Cost": "types",
    "DataOverview": "runs.inspection",
    "Erasure": "erasing.record",
    "ErasureRequest": "history.request_log",
    "Evaluated": "runs.inspection",
    "Evaluation": "types",
    "Finding": "audit.evidence",
    "Frontier": "studies.frontier",
    "Guarantee": "types",
    "Hidden": "privacy.hiding",
    "HidingPoint": "types",
    "HistoryCheck": "runs.inspection",
    "Holding": "data.holdings",
    "Kept": "runs.inspection",
    "LeftOut": "runs.beginning",
    "Measured": "audit.evidence",
    "Metrics": "types",
    "NewKey": "requests.signing",
    "Overview": "runs.inspection",
    "Participation": "history.entries",
    "Purged": "requests.carry_out",
    "Report": "pages.report",
    "Requests": "history.request_log",
    "Row": "studies.compare",
    "Spread": "types",
    "Stage": "types",
    "Sweep": "studies.sweep",
    "SweepPoint": "types",
    "TimesNamed": "types",
    "Trace": "studies.trace",
    "TracePoint": "types",
    "Trained": "learners.training",
    "Verified": "requests.verify",
    "WhoLeft": "studies.who_left",
}

__all__ = [*_PLACES]

__getattr__ = names_from(__name__, _PLACES)


def __dir__() -> list[str]:
    """The types."""
    return [*_PLACES]
