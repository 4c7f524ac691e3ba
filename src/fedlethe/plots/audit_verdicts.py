# SPDX-License-Identifier: MIT
"""The audits of one erasure as a picture and in words that need no engineer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedlethe.plots.style import ERASED, LINES, Cell, Plot, blank, legend_below, styled

__all__ = ["Audited", "audits", "sentence"]

BEFORE, AFTER = "before the erasure", "after the erasure"


@dataclass(frozen=True, slots=True)
class Audited:
    """What one audit found.

    Attributes:
        name: The audit's.
        figure: What it measures.
        verdict: The word.
        why: The word's reason.
        before: The figure of the model before; None where it could not be measured.
        after: Of the model after.
        retrainings: Of models trained without the erased data.
        interval: The 95 % interval of `after`, where one is known.
    """

    name: str
    figure: str
    verdict: str
    why: str
    before: float | None = None
    after: float | None = None
    retrainings: Sequence[float] = ()
    interval: tuple[float, float] | None = None


QUESTIONS: Mapping[str, str] = {
    "utility": "Is the model still useful? It gives the right answer to {after} of the test images",
    "distance": "Does the model answer like one that never saw the erased images? Its distance from such models is "
    "{after}, where 1 is how far these lie from each other",
    "membership": "Can an attacker tell that the erased images were used? The attack's score is {after}, where 0.5 is "
    "guessing",
    "forget_quality": "Can the model be told from one that never saw the erased images, image by image? Its score is "
    "{after}, where 1 is that it cannot",
    "backdoor": "Does the model still react to a mark that only the erased images carried? It does in {after} of the "
    "images",
    "relearn": "Do the erased images come back faster than to a model that never saw them? The time that it takes is "
    "{after} times theirs",
}

ANSWERS: Mapping[str, str] = {
    "gone": "No trace was found: the figure lies where theirs do.",
    "still there": "A trace was found: the figure lies outside theirs.",
    "cannot be shown": "This shows nothing here",
    "alike": "The answers cannot be told from theirs.",
    "different": "The answers differ from theirs, which can have other reasons than the erased images.",
    "useful": "It is as useful as they are.",
    "not useful": "It is less useful than they are.",
}


def sentence(audit: Audited) -> str:
    """An audit in words for a reader who is no engineer."""
    question = QUESTIONS.get(audit.name, f"{audit.figure}: {{after}}")
    if audit.name == "utility" and audit.figure != "accuracy":
        question = f"Is the model still useful? Its {audit.figure} is {{after}}, where 1 is perfect"
    if audit.after is None:
        return f"{question.partition('?')[0]}? Could not be measured: {audit.why}."
    low, high = min(audit.retrainings), max(audit.retrainings)
    theirs = f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
    asked = question.format(after=f"{audit.after:.3f}")
    answer = ANSWERS.get(audit.verdict, audit.verdict)
    end = f": {audit.why}." if audit.verdict == "cannot be shown" else ""
    return f"{asked}; models trained without the erased images: {theirs}. {answer}{end}"


def audits(found: Sequence[Audited], subject: str) -> Plot:
    """Each measured audit: the model before and after, and the retrainings.

    Args:
        found: The audits; those that were not measured are left out of the picture. One at least was.
        subject: Who was erased.
    """
    from matplotlib.ticker import MaxNLocator

    title = f"Audits of the erasure of {subject}"
    shown = [audit for audit in found if audit.after is not None]
    with styled():
        figure = blank(title, 8.4, 0.9 + 0.95 * len(shown))
        axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for audit, axis in zip(shown, axes, strict=True):
            low, high = min(audit.retrainings), max(audit.retrainings)
            axis.axvspan(low, high, color="#BBBBBB", alpha=0.5, linewidth=0)
            axis.plot(audit.retrainings, [0] * len(audit.retrainings), "|", color="#555555", markersize=16,
                      label="models trained without the erased images")  # fmt: skip
            axis.plot([audit.before], [0], "X", color=ERASED, markersize=9, label=BEFORE, zorder=3)
            axis.plot([audit.after], [0], "o", color=LINES[0], markersize=9, label=AFTER, zorder=4)
            if audit.interval is not None:
                axis.plot(audit.interval, [0, 0], "-", color=LINES[0], linewidth=2, zorder=2)
            axis.set_yticks([])
            axis.set_ylim(-1, 1)
            axis.margins(x=0.08)
            axis.spines["left"].set_visible(False)
            axis.xaxis.set_major_locator(MaxNLocator(nbins=7))
            axis.set_title(f"{audit.name.replace('_', ' ')}: {audit.verdict}", loc="left")
            axis.set_xlabel(audit.figure, labelpad=1)
        legend_below(figure, axes[0])
    header = ("audit", "figure", "verdict", "model", "value", "low", "high")
    rows = [row for audit in shown for row in _rows(audit)]
    caption = (
        "Where the model after the erasure (blue) lies among those trained without the erased images (gray), it cannot "
        "be told from them by this audit. An audit shows something only where the model before (red cross) lies apart "
        "from them. A blue line is the 95 % interval."
    )
    return Plot("audits", title, caption, figure, header, rows)


def _rows(audit: Audited) -> list[tuple[Cell, ...]]:
    low, high = audit.interval or (None, None)
    head = (audit.name, audit.figure, audit.verdict)
    rows: list[tuple[Cell, ...]] = [(*head, BEFORE, audit.before, None, None), (*head, AFTER, audit.after, low, high)]
    return rows + [(*head, "retraining", value, None, None) for value in audit.retrainings]
