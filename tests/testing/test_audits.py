# SPDX-License-Identifier: MIT
"""The kit finds what is wrong with an audit, and lets a sound one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from fedlethe.audit import AUDITS, Answers, Evidence, Measured, Verdict
from fedlethe.errors import FedletheError
from fedlethe.testing import check_audit


@dataclass(frozen=True)
class Confidence:
    """Mean confidence on the forgotten images: sound."""

    paper: ClassVar[str] = "a test"
    figure: ClassVar[str] = "mean confidence"
    worse: ClassVar[Literal["large", "small"]] = "large"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.0

    def figures(self, models: Sequence[Answers]) -> tuple[float, ...]:
        return tuple(float(model.forgotten.max(axis=1).mean()) for model in models)

    def measure(self, evidence: Evidence) -> Measured | str:
        candidates, untouched = self.figures(evidence.candidates), self.figures(evidence.untouched)
        return Measured(candidates, untouched, self.figures(evidence.references))


@dataclass(frozen=True)
class Words(Confidence):
    words: ClassVar[Any] = ("fine", "bad")


@dataclass(frozen=True)
class TooFew(Confidence):
    def figures(self, models: Sequence[Answers]) -> tuple[float, ...]:
        return super().figures(models)[:2]


@dataclass(frozen=True)
class NotANumber(Confidence):
    def figures(self, models: Sequence[Answers]) -> tuple[float, ...]:
        return (float("inf"),) * len(models)


@dataclass(frozen=True)
class Chance(Confidence):
    def figures(self, models: Sequence[Answers]) -> tuple[float, ...]:
        return tuple(np.random.default_rng().random(len(models)).tolist())


@dataclass(frozen=True)
class Ungated(Confidence):
    """It measures the test images, on which nothing is to be seen, and calls that gone."""

    gated: ClassVar[bool] = False
    tolerance: float = 10.0


@dataclass(frozen=True)
class Partial(Confidence):
    """It takes the candidates' figures times two."""

    def measure(self, evidence: Evidence) -> Measured | str:
        measured = super().measure(evidence)
        assert isinstance(measured, Measured)
        return Measured(tuple(value + 1 for value in measured.candidates), measured.untouched, measured.references)


@dataclass(frozen=True)
class Silent(Confidence):
    def measure(self, evidence: Evidence) -> Measured | str:
        return ""


@dataclass(frozen=True)
class Raises(Confidence):
    def measure(self, evidence: Evidence) -> Measured | str:
        raise ZeroDivisionError("of nothing")


@dataclass(frozen=True)
class NotOfRetrainings(Confidence):
    def measure(self, evidence: Evidence) -> Measured | str:
        if len(evidence.candidates) == len(evidence.references):
            raise ZeroDivisionError("of nothing")
        return super().measure(evidence)


@dataclass(frozen=True)
class NeedsABackdoor(Confidence):
    def figures(self, models: Sequence[Answers]) -> tuple[float, ...]:
        return tuple(float(model.triggered.mean()) for model in models)  # type: ignore[union-attr]


@dataclass(frozen=True)
class WritesAnswers(Confidence):
    def measure(self, evidence: Evidence) -> Measured | str:
        evidence.candidates[0].test[:] = 0
        return super().measure(evidence)


@dataclass(frozen=True)
class Gated(Confidence):
    gated: ClassVar[Any] = "yes"


class NotFrozen:
    """No dataclass."""


@dataclass(frozen=True)
class NoFigure:
    paper: ClassVar[str] = "a test"


@pytest.mark.parametrize("name", AUDITS)
def test_ours_pass(name: str) -> None:
    check_audit(AUDITS[name]())


def test_one_of_somebody_elses_passes() -> None:
    check_audit(Confidence())


@pytest.mark.parametrize(
    ("audit", "words"),
    [
        (Words, "Words: its words must be two of gone, still there"),
        (TooFew, "TooFew: has the figures .* for 3 candidates; give one finite figure for each"),
        (NotANumber, "NotANumber: has the figures"),
        (Chance, "Chance: measures something else each time"),
        (Ungated, "Ungated: calls models 'gone' to which nothing was done"),
        (Partial, "Partial: finds retrainings at fault"),
        (Silent, "Silent: measures nothing and does not say why"),
        (Raises, r"Raises: fails \(ZeroDivisionError: of nothing, test_audits.py line .*\); correct it"),
        (NotOfRetrainings, r"NotOfRetrainings: fails \(ZeroDivisionError"),
        (NeedsABackdoor, r"NeedsABackdoor: fails \(AttributeError"),
        (WritesAnswers, r"WritesAnswers: fails \(ValueError: assignment destination is read-only"),
        (Gated, "Gated: its gated must be True or False, not 'yes'"),
        (NotFrozen, "NotFrozen: is no audit; make it a frozen dataclass"),
        (NoFigure, "NoFigure: has no 'figure'; write: figure: ClassVar"),
    ],
)
def test_what_is_wrong_is_found(audit: Any, words: str) -> None:
    with pytest.raises(FedletheError, match=words) as raised:
        check_audit(audit())
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{audit.__module__}:")
