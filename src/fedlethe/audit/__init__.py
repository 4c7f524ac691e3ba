# SPDX-License-Identifier: MIT
"""The audits: pure functions of what models answer. They yield evidence, never a promise."""

from __future__ import annotations

from typing import Any

from fedlethe.audit.evidence import Answers, Audit, Evidence, Finding, Measured, Task, Verdict
from fedlethe.audit.judging import judge, overall
from fedlethe.audit.owed import wrong_part
from fedlethe.outside.plugins import Registry, frozen_dataclass, guarded, lacking

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
    "built_audits",
    "figure_of",
    "overall",
]

_PARTS = {
    "paper": 'paper: ClassVar[str] = "where it comes from"',
    "figure": 'figure: ClassVar[str] = "what it measures"',
    "worse": 'worse: ClassVar[Literal["large", "small"]] = "large"',
    "words": 'words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")',
    "gated": "gated: ClassVar[bool] = True",
    "tolerance": "tolerance: float = 0.0",
    "measure": "def measure(self, evidence: Evidence) -> Measured | str",
}
"""What an audit must have, and how it is written."""


def _problem(kind: Any) -> str | None:
    if not frozen_dataclass(kind):
        return "is no audit; make it a frozen dataclass as `Audit` describes"
    return lacking(kind, _PARTS) or wrong_part(kind)


AUDITS: Registry[type[Audit]] = Registry(
    "audit",
    "fedlethe.audits",
    {
        "utility": "fedlethe.audit.utility:Utility",
        "distance": "fedlethe.audit.distance:Distance",
        "membership": "fedlethe.audit.membership:Membership",
        "forget_quality": "fedlethe.audit.forget_quality:ForgetQuality",
        "backdoor": "fedlethe.audit.backdoor:BackdoorSuccess",
        "relearn": "fedlethe.audit.relearn:Relearn",
    },
    _problem,
    """The audits, by name: all of them are made by `Run.audit`, in this order.

    A row is a frozen dataclass that measures one figure of a model, which is held against the same figure of
    retrainings. An installed package adds one as an entry point; it is tried with `fedlethe.testing.check_audit`.

    Example:
        >>> import fedlethe
        >>> list(fedlethe.AUDITS)[:3]
        ['utility', 'distance', 'membership']
        >>> fedlethe.AUDITS["membership"].figure
        'membership AUC'
    """,
)


def figure_of(finding: Finding) -> str:
    """What a finding's audit measures; the audit's name, where the package that brought it is gone."""
    return AUDITS[finding.audit].figure if finding.audit in AUDITS else finding.audit


def built_audits() -> dict[str, Audit]:
    """Every audit of AUDITS, built, in their order.

    Raises:
        ConfigError: One that an installed package brings cannot be used; the message names it.
    """
    remedy = "give each of its options a default"
    return {name: guarded(kind, f"audit '{name}'", remedy) for name, kind in AUDITS.items()}


def audit(evidence: Evidence) -> list[Finding]:
    """Every audit of AUDITS on the evidence, in their order.

    Raises:
        ConfigError: See `built_audits` and `judge`.
    """
    return [judge(name, one, evidence) for name, one in built_audits().items()]
