# SPDX-License-Identifier: MIT
"""What audits look at, what they measure and what they find; and the Protocol of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fedlethe.audit.scores import Floats

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
