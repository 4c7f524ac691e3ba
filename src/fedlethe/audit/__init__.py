# SPDX-License-Identifier: MIT
"""The audits: pure functions of what models answer. They yield evidence, never a promise."""

from __future__ import annotations

from fedlethe.audit.backdoor import BackdoorSuccess
from fedlethe.audit.distance import Distance
from fedlethe.audit.evidence import Answers, Audit, Evidence, Finding, Measured, Task, Verdict, judge, overall
from fedlethe.audit.forget_quality import ForgetQuality
from fedlethe.audit.membership import Membership
from fedlethe.audit.relearn import Relearn
from fedlethe.audit.utility import Utility

__all__ = [
    "AUDITS",
    "Answers",
    "Audit",
    "Evidence",
    "Finding",
    "Measured",
    "Task",
    "Verdict",
    "audit",
    "overall",
]

AUDITS: dict[str, type[Audit]] = {
    "utility": Utility,
    "distance": Distance,
    "membership": Membership,
    "forget_quality": ForgetQuality,
    "backdoor": BackdoorSuccess,
    "relearn": Relearn,
}


def audit(evidence: Evidence) -> list[Finding]:
    """Every audit of AUDITS on the evidence, in their order."""
    return [judge(name, kind(), evidence) for name, kind in AUDITS.items()]
