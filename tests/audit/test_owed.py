# SPDX-License-Identifier: MIT
"""What an audit gives, or is, that it must not, ends in one line that names it; and it changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from fedlethe.audit import AUDITS
from fedlethe.audit.evidence import Answers, Evidence, Measured
from fedlethe.audit.judging import judge
from fedlethe.audit.owed import measured_by
from fedlethe.errors import ConfigError
from tests.audit.answering import answers, evidence, task


@dataclass(frozen=True)
class Mine:
    """An audit that does what it is told."""

    do: Callable[[Evidence], Any]
    paper: ClassVar[Any] = "none"
    figure: ClassVar[Any] = "figure"
    worse: ClassVar[Any] = "large"
    words: ClassVar[Any] = ("gone", "still there")
    gated: ClassVar[Any] = True
    tolerance: Any = 0.1

    def measure(self, evidence: Evidence) -> Any:
        return self.do(evidence)


def held() -> Evidence:
    def some() -> Answers:
        return answers(test=np.full((2, 2), np.log(0.5)))

    return evidence(task(), [some()], [some()], [some(), some(), some()])


def writes(given: Evidence) -> Measured:
    given.candidates[0].test[:] = 0
    return Measured((1.0,), (1.0,), (1.0,))


def writes_labels(given: Evidence) -> Measured:
    given.task.test[:] = 1
    return Measured((1.0,), (1.0,), (1.0,))


FIGURES = "for 1 candidates; give one finite figure for each model, and of references one at least"


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda given: None, "gives a NoneType; return a Measured, or in words why there is none"),
        (lambda given: {"candidates": 1}, "gives a dict; return a Measured"),
        (lambda given: " ", "measures nothing and does not say why; return the reason in words"),
        (lambda given: Measured(1.0, 1.0, 1.0), rf"has the figures 1\.0 {FIGURES}"),  # type: ignore[arg-type]
        (lambda given: Measured(("a",), (1.0,), (1.0,)), rf"has the figures \('a',\) {FIGURES}"),  # type: ignore[arg-type]
        (lambda given: Measured("a", (1.0,), (1.0,)), rf"has the figures 'a' {FIGURES}"),  # type: ignore[arg-type]
        (lambda given: Measured((1.0, 2.0), (1.0,), (1.0,)), rf"has the figures \(1\.0, 2\.0\) {FIGURES}"),
        (lambda given: Measured((1.0,), (1.0,), ()), r"has the figures \(\) for 3 references"),
        (lambda given: Measured((1.0,), (1.0,), (1.0,), floor="x"), "its floor is 'x'; give a number"),  # type: ignore[arg-type]
        (lambda given: Measured((1.0,), (1.0,), (1.0,), details={"d": None}), "its d is None; give a number"),  # type: ignore[dict-item]
        (lambda given: Measured((1.0,), (1.0,), (1.0,), power=0.5), r"has the figures 0\.5 for 3 power"),  # type: ignore[arg-type]
        (lambda given: 1 / 0, "fails .ZeroDivisionError"),
        (lambda given: exit(3), "fails .SystemExit: 3"),
        (lambda given: given.candidates[0].triggered.mean(), "fails .AttributeError"),
        (writes, "fails .ValueError: assignment destination is read-only"),
        (writes_labels, "fails .ValueError: assignment destination is read-only"),
    ],
)
def test_what_it_gives_that_is_wrong_is_one_line_with_its_name(do: Any, words: str) -> None:
    whole = held()
    with pytest.raises(ConfigError, match=f"^audit 'mine': {words}") as told:
        judge("mine", Mine(do), whole)
    assert "\n" not in str(told.value)
    assert np.array_equal(whole.candidates[0].test, np.full((2, 2), np.log(0.5)))


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("words", None, "its words must be two of gone, still there, .*, not None"),
        ("words", ("gone",), r"its words must be two of .*, not \('gone',\)"),
        ("gated", "yes", "its gated must be True or False, not 'yes'"),
        ("worse", "big", "its worse must be 'large' or 'small', not 'big'"),
        ("figure", " ", "its figure must be a text: what it measures, not ' '"),
        ("paper", None, "its paper must be a text: where it comes from, not None"),
        ("tolerance", "a", "its tolerance must be a finite number, not 'a'"),
        ("measure", None, "its measure must be a function: def measure"),
    ],
)
def test_a_part_that_is_wrong_is_told_when_it_is_looked_up_and_when_it_is_used(
    part: str, value: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mine, part, value)
    monkeypatch.setitem(AUDITS.rows, "mine", f"{__name__}:Mine")
    assert (AUDITS.problem(Mine) or "").startswith(words.split(" must")[0])
    audit = Mine(str) if part != "tolerance" else Mine(str, tolerance=value)
    with pytest.raises(ConfigError, match=f"^audit 'mine': {words}"):
        judge("mine", audit, held())


def test_arrays_of_figures_are_figures() -> None:
    given = Measured(np.ones(1), np.array([2], dtype=np.float32), [1, 2, 3])  # type: ignore[arg-type]
    assert measured_by(Mine(lambda evidence: given), held(), "mine") == Measured((1.0,), (2.0,), (1.0, 2.0, 3.0))


def test_what_is_handed_out_can_only_be_read() -> None:
    seen: list[Evidence] = []
    whole = held()
    judge("mine", Mine(lambda given: seen.append(given) or "nothing"), whole)  # type: ignore[func-returns-value]
    assert not seen[0].references[2].test.flags.writeable
    assert whole.references[2].test.flags.writeable
    assert isinstance(seen[0].references, tuple)
