# SPDX-License-Identifier: MIT
"""How a figure is judged between its two yardsticks, with the figures given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from fedlethe.audit.evidence import Evidence, Finding, Measured, Verdict
from fedlethe.audit.judging import judge, overall
from tests.audit.answering import answers, evidence, task


@dataclass(frozen=True)
class Given:
    """An audit that measures what it is told."""

    measured: Measured | str
    paper: ClassVar[str] = "none"
    figure: ClassVar[str] = "figure"
    worse: ClassVar[Literal["large", "small"]] = "large"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True
    tolerance: float = 0.1

    def measure(self, evidence: Evidence) -> Measured | str:
        return self.measured


class Small(Given):
    worse: ClassVar[Literal["large", "small"]] = "small"
    gated = False


class Ungated(Given):
    gated = False


def judged(audit: Given) -> Finding:
    """Of as many models as there are figures."""
    made = audit.measured
    counts = (1, 1, 1) if isinstance(made, str) else map(len, (made.candidates, made.untouched, made.references))
    return judge("given", audit, evidence(task(), *([answers()] * count for count in counts)))


def found(
    candidates: list[float], untouched: list[float], references: list[float], kind: type[Given] = Given
) -> Finding:
    return judged(kind(Measured(tuple(candidates), tuple(untouched), tuple(references))))


def test_gone_is_every_candidate_in_the_retrainings_range() -> None:
    finding = found([0.1, 0.55], [0.9, 0.9], [0.2, 0.5])
    assert (finding.verdict, finding.inside) == ("gone", 2)
    assert finding.limit == pytest.approx(0.6)
    assert finding.statement == "figure 0.100 to 0.550, of retrainings 0.200 to 0.500, untouched 0.900"


def test_one_candidate_outside_is_enough() -> None:
    finding = found([0.1, 0.61], [0.9, 0.9], [0.2, 0.5])
    assert (finding.verdict, finding.inside) == ("still there", 1)


def test_where_small_speaks_against_the_model_the_range_is_the_other_one() -> None:
    assert found([0.9, 0.45], [0.1, 0.1], [0.8, 0.5], Small).verdict == "gone"
    assert found([0.9, 0.39], [0.1, 0.1], [0.8, 0.5], Small).verdict == "still there"


def test_nothing_is_shown_where_the_untouched_model_looks_like_a_retraining() -> None:
    finding = found([0.1, 0.9], [0.9, 0.1, 0.1], [0.2, 0.5])
    assert finding.verdict == "cannot be shown"
    assert "untouched model looks like a retraining" in finding.statement
    assert found([0.1, 0.1], [0.9, 0.1], [0.2, 0.5]).verdict == "gone"  # half of them is enough
    assert found([0.1, 0.9], [0.1, 0.1], [0.2, 0.5], Ungated).verdict == "still there"


def test_what_was_not_measured_shows_nothing() -> None:
    finding = judged(Given("there is no backdoor"))
    assert (finding.verdict, finding.statement, finding.measured) == ("cannot be shown", "there is no backdoor", None)


def test_what_is_not_a_number_shows_nothing() -> None:
    finding = found([0.1], [0.9], [float("nan"), 0.2])
    assert (finding.verdict, finding.statement) == (
        "cannot be shown",
        "figure: is not a number for some of the models",
    )


def test_a_floor_is_to_be_exceeded_by_candidates_and_by_retrainings() -> None:
    def of(candidates: tuple[float, ...], references: tuple[float, ...]) -> Verdict:
        measured = Measured(candidates, (0.9,), references, floor=0.7)
        return judged(Small(measured)).verdict

    assert of((0.8,), (0.8, 0.75)) == "gone"
    assert of((0.7,), (0.8, 0.75)) == "still there"  # within the tolerance, but it is guessing
    assert of((0.7,), (0.7, 0.7)) == "cannot be shown"  # so are the retrainings


def test_a_figure_s_name_with_brackets_stands_in_no_others() -> None:
    figure = "AUC (not every retraining is above chance)"
    weak = Measured((0.8,), (0.9,), (0.6, 0.7), floor=0.7, figure=figure)
    assert judged(Small(weak)).statement == f"retrainings do not exceed 0.700: {figure} 0.600 to 0.700"
    alike = Measured((0.1,), (0.2,), (0.2, 0.5), figure=figure)
    said = judged(Given(alike)).statement
    assert said == f"the untouched model looks like a retraining, too: {figure} 0.200"


def test_power_is_judged_by_the_untouched_models_own_references() -> None:
    measured = Measured((0.5,), (0.7,), (0.9,), power=(0.5,))
    assert judged(Given(measured)).verdict == "gone"
    measured = Measured((0.5,), (0.7,), (0.3,), power=(0.9,))
    assert judged(Given(measured)).verdict == "cannot be shown"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["gone", "still there", "not useful"], "still there"),
        (["gone", "not useful", "cannot be shown"], "not useful"),
        (["gone", "useful", "different", "cannot be shown"], "gone"),
        (["useful", "alike", "cannot be shown"], "cannot be shown"),
        ([], "cannot be shown"),
    ],
)
def test_the_worst_word_is_the_verdict(words: list[Verdict], verdict: str) -> None:
    assert overall([Finding("x", word, "") for word in words]) == verdict
