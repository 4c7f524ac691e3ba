# SPDX-License-Identifier: MIT
"""What audits look at, and how they judge: a figure of the unlearned models between two yardsticks.

One yardstick are retrainings that never saw the forgotten clients, the other the trained models that nothing was done
to. A figure means something only where the two lie apart: where they do not, nothing can be shown on this task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.audit.scores import Floats
from fedlethe.plugins import guarded

Verdict: TypeAlias = Literal["gone", "still there", "cannot be shown", "alike", "different", "useful", "not useful"]

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one model answers: log-probabilities, shape (n, classes), on each set of images.

    Attributes:
        test: Test images of all clients.
        forgotten: The forgotten clients' training images, as they trained on them.
        retained: A sample of the retained clients' training images.
        triggered: Test images with the backdoor's trigger; None where there is no backdoor.
        relearn: Mean loss on `forgotten` before, and after each of some short trainings on them; None if not asked.
    """

    test: Floats
    forgotten: Floats
    retained: Floats
    triggered: Floats | None = None
    relearn: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The right answers to the images of `Answers`, and the class that the trigger stands for."""

    test: Labels
    forgotten: Labels
    retained: Labels
    target: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything that an audit may look at.

    Attributes:
        task: The right answers.
        candidates: The models to audit, one for each seed of the training.
        untouched: The trained models that they come from, by the same seeds.
        references: Retrainings without the forgotten clients, of other seeds.
    """

    task: Task
    candidates: Sequence[Answers]
    untouched: Sequence[Answers]
    references: Sequence[Answers]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of each model.

    Attributes:
        candidates: One for each candidate.
        untouched: One for each untouched model.
        references: One for each retraining: what the figure is for a model that never saw the forgotten clients.
        floor: What a figure must exceed whatever the retrainings' is: the accuracy of guessing the commonest class.
        power: The references against which `untouched` is judged, where they are others than the candidates'.
        details: Further figures, each a mean over the candidates.
        figure: What they are, where it is not the audit's `figure`.
    """

    candidates: tuple[float, ...]
    untouched: tuple[float, ...]
    references: tuple[float, ...]
    floor: float | None = None
    power: tuple[float, ...] | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    figure: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found.

    Attributes:
        audit: Its row in AUDITS.
        verdict: The word.
        statement: The word's reason, in one sentence.
        measured: The figures; None where it could not be measured.
        limit: The last value that counts as a retraining's.
        inside: Candidates within the limit.
    """

    audit: str
    verdict: Verdict
    statement: str
    measured: Measured | None = None
    limit: float | None = None
    inside: int = 0


class Audit(Protocol):
    """A frozen dataclass whose fields are its options; one row in AUDITS.

    Attributes:
        paper: Where it comes from.
        figure: What it measures, in words.
        worse: Whether a large or a small figure speaks against the model.
        words: The verdicts inside and outside the retrainings' range.
        gated: Whether untouched models must lie outside that range for anything to be shown.
    """

    paper: ClassVar[str]
    figure: ClassVar[str]
    worse: ClassVar[Literal["large", "small"]]
    words: ClassVar[tuple[Verdict, Verdict]]
    gated: ClassVar[bool]

    @property
    def tolerance(self) -> float:
        """How far outside the retrainings' range still counts as inside."""
        ...

    def measure(self, evidence: Evidence) -> Measured | str:
        """The figures, or why there are none."""
        ...


def judge(name: str, audit: Audit, evidence: Evidence) -> Finding:
    """Apply an audit and judge what it measures.

    'cannot be shown': it could not be measured, the retrainings themselves do not exceed the floor, or not even half
    of the untouched models lie outside the retrainings' range. 'gone' (or what the audit says instead): every candidate
    lies inside it. 'still there': one at least does not.

    Args:
        name: The audit's row.
        audit: The audit.
        evidence: What to look at.
    """
    measured = guarded(lambda: audit.measure(evidence), f"audit '{name}'", "correct it")
    if isinstance(measured, str):
        return Finding(name, "cannot be shown", measured)
    figure = measured.figure or audit.figure
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
