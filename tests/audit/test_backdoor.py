# SPDX-License-Identifier: MIT
from __future__ import annotations

from fedlethe.audit import Answers
from fedlethe.audit.backdoor import BackdoorSuccess
from fedlethe.audit.judging import judge
from tests.audit.answering import answers, evidence, log_probabilities, task


def fooled(count: int) -> Answers:
    """Of a hundred triggered images of class 1, so many are taken for the target, class 0."""
    phi = [-1.0 if number < count else 1.0 for number in range(100)]
    return answers(triggered=log_probabilities(phi, [1] * 100))


def test_success_is_what_retrainings_show_and_not_zero() -> None:
    for count, verdict in ((11, "gone"), (0, "gone"), (13, "still there")):
        of = evidence(task(target=0), [fooled(count)], [fooled(90)], [fooled(5), fooled(10), fooled(10)])
        finding = judge("backdoor", BackdoorSuccess(), of)
        assert finding.verdict == verdict
        assert finding.measured is not None
        assert finding.measured.candidates == (count / 100,)


def test_without_a_backdoor_there_is_nothing_to_look_for() -> None:
    finding = judge("backdoor", BackdoorSuccess(), evidence(task(), [fooled(0)], [fooled(0)], [fooled(0)]))
    assert (finding.verdict, "[backdoor]" in finding.statement) == ("cannot be shown", True)
