# SPDX-License-Identifier: MIT
"""What the functions of the public face return: frozen values, each with its fields in its documentation.

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
    from fedlethe.erasing.auditing import Attested as Attested
    from fedlethe.erasing.record import Erasure as Erasure
    from fedlethe.history.request_log import ErasureRequest as ErasureRequest
    from fedlethe.history.request_log import Requests as Requests
    from fedlethe.learners.training import Trained as Trained
    from fedlethe.pages.report import Report as Report
    from fedlethe.requests.carry_out import Carried as Carried
    from fedlethe.requests.carry_out import Purged as Purged
    from fedlethe.requests.signing import NewKey as NewKey
    from fedlethe.requests.verify import Verified as Verified
    from fedlethe.runs.cached_images import CacheCleared as CacheCleared
    from fedlethe.runs.cached_images import CacheContent as CacheContent
    from fedlethe.runs.cached_images import Cached as Cached
    from fedlethe.runs.inspection import DataOverview as DataOverview
    from fedlethe.runs.inspection import Evaluated as Evaluated
    from fedlethe.runs.inspection import Overview as Overview
    from fedlethe.studies.compare import Comparison as Comparison
    from fedlethe.studies.frontier import Frontier as Frontier
    from fedlethe.studies.sweep import Sweep as Sweep
    from fedlethe.studies.trace import Trace as Trace
    from fedlethe.studies.who_left import WhoLeft as WhoLeft
    from fedlethe.types import Evaluation as Evaluation
    from fedlethe.types import HidingPoint as HidingPoint
    from fedlethe.types import Metrics as Metrics

_PLACES = {
    "Attested": "erasing.auditing",
    "CacheCleared": "runs.cached_images",
    "CacheContent": "runs.cached_images",
    "Cached": "runs.cached_images",
    "Carried": "requests.carry_out",
    "Comparison": "studies.compare",
    "DataOverview": "runs.inspection",
    "Erasure": "erasing.record",
    "ErasureRequest": "history.request_log",
    "Evaluated": "runs.inspection",
    "Evaluation": "types",
    "Frontier": "studies.frontier",
    "HidingPoint": "types",
    "Metrics": "types",
    "NewKey": "requests.signing",
    "Overview": "runs.inspection",
    "Purged": "requests.carry_out",
    "Report": "pages.report",
    "Requests": "history.request_log",
    "Sweep": "studies.sweep",
    "Trace": "studies.trace",
    "Trained": "learners.training",
    "Verified": "requests.verify",
    "WhoLeft": "studies.who_left",
}

__all__ = [*_PLACES]

__getattr__ = names_from(__name__, _PLACES)


def __dir__() -> list[str]:
    """The types."""
    return [*_PLACES]
