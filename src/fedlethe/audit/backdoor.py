# SPDX-License-Identifier: MIT
"""Does the trigger that only the forgotten client saw still work?

Attack success is the share of test images of other classes that the trigger turns into its target. Success of the
audit is not zero but what retrainings show: they, too, take some of these images for the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedlethe.audit.evidence import Answers, Evidence, Measured, Verdict
from fedlethe.audit.scores import wilson


@dataclass(frozen=True, kw_only=True, slots=True)
class BackdoorSuccess:
    """Attack success.

    Attributes:
        tolerance: How far above the highest retraining's still counts as gone, in shares of images.
    """

    paper: ClassVar[str] = "Gu, Dolan-Gavitt, Garg, BadNets, 2017; as a check of unlearning: Wu et al., 2022"
    figure: ClassVar[str] = "attack success"
    worse: ClassVar[Literal["large", "small"]] = "large"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.02

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        target = evidence.task.target
        if target is None:
            return "the forgotten client trained no backdoor (the configuration's [backdoor])"
        found = success(evidence.candidates, target)
        images = [len(answers.triggered) for answers in evidence.candidates if answers.triggered is not None]
        low, high = wilson(sum(found) / len(found), images[0])
        return Measured(
            found,
            success(evidence.untouched, target),
            success(evidence.references, target),
            details={"success_low": low, "success_high": high},
        )


def success(population: Sequence[Answers], target: int) -> tuple[float, ...]:
    """The share of triggered images that each model answers with the target."""
    triggered = [answers.triggered for answers in population if answers.triggered is not None]
    return tuple(float((answers.argmax(axis=1) == target).mean()) for answers in triggered)
