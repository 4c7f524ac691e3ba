# SPDX-License-Identifier: MIT
"""How audits judge: a figure of the unlearned models between two yardsticks.

One yardstick are retrainings that never saw the forgotten clients, the other the trained models that nothing was done
to. A figure means something only where the two lie apart: where they do not, nothing can be shown on this task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedlethe.audit.evidence import Audit, Evidence, Finding, Measured, Verdict
from fedlethe.audit.owed import measured_by


def judge(name: str, audit: Audit, evidence: Evidence) -> Finding:
    """Apply an audit and judge what it measures.

    'cannot be shown': it could not be measured, the retrainings themselves do not exceed the floor, or not even half
    of the untouched models lie outside the retrainings' range. 'gone' (or what the audit says instead): every candidate
    lies inside it. 'still there': one at least does not.

    Args:
        name: The audit's row.
        audit: The audit.
        evidence: What to look at.

    Raises:
        ConfigError: See `measured_by`.
    """
    return finding_of(name, audit, measured_by(audit, evidence, f"audit '{name}'"))


def finding_of(name: str, audit: Audit, measured: Measured | str) -> Finding:
    """The same of what it has measured, or why it measured nothing."""
    if isinstance(measured, str):
        return Finding(name, "cannot be shown", measured)
    figure = measured.figure or audit.figure
    if any(map(math.isnan, (*measured.candidates, *measured.untouched, *measured.references))):
        return Finding(name, "cannot be shown", f"{figure}: is not a number for some of the models")
    sign = 1.0 if audit.worse == "large" else -1.0
    limit = _limit(measured.references, sign, audit.tolerance)
    gate = limit if measured.power is None else _limit(measured.power, sign, audit.tolerance)
    inside = sum(sign * value <= sign * limit and _above(value, measured.floor) for value in measured.candidates)
    found_out = sum(sign * value > sign * gate for value in measured.untouched)
    span = f"{figure} {_span(measured.candidates)}, of retrainings {_span(measured.references)}"
    if audit.gated and 2 * found_out < len(measured.untouched):
        statement = f"the untouched model looks like a retraining, too: {figure} {_span(measured.untouched)}"
        return Finding(name, "cannot be shown", statement, measured, limit, inside)
    if not any(_above(value, measured.floor) for value in measured.references):
        statement = f"retrainings do not exceed {measured.floor:.3f}: {figure} {_span(measured.references)}"
        return Finding(name, "cannot be shown", statement, measured, limit, inside)
    verdict = audit.words[0 if inside == len(measured.candidates) else 1]
    return Finding(name, verdict, f"{span}, untouched {_span(measured.untouched)}", measured, limit, inside)


def overall(findings: Sequence[Finding]) -> Verdict:
    """One word for a model: the worst that an audit with power says, and 'not useful' before 'gone'.

    'alike' and 'different' count for nothing: a model may differ from retrainings for other reasons than the client.

    Example:
        >>> overall([Finding("backdoor", "gone", ""), Finding("utility", "not useful", "")])
        'not useful'
    """
    words = {finding.verdict for finding in findings}
    order: tuple[Verdict, ...] = ("still there", "not useful", "gone")
    return next((word for word in order if word in words), "cannot be shown")


def _above(value: float, floor: float | None) -> bool:
    return floor is None or value > floor


def _limit(references: Sequence[float], sign: float, tolerance: float) -> float:
    return sign * max(sign * value for value in references) + sign * tolerance


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
