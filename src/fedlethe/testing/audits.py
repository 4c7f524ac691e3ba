# SPDX-License-Identifier: MIT
"""What every audit owes, checked on made-up answers: trained models know the forgotten images, others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedlethe.audit import AUDITS, Answers, Audit, Evidence, Task
from fedlethe.audit.evidence import Labels
from fedlethe.audit.judging import finding_of
from fedlethe.audit.owed import measured_by
from fedlethe.audit.scores import Floats
from fedlethe.errors import ConfigError
from fedlethe.outside.plugins import path_of
from fedlethe.seeding import numpy_generator
from fedlethe.testing.instances import demand_instance

IMAGES = 200
"""In each set of them."""


def check_audit(audit: Audit) -> None:
    """Check an audit.

    Formal guarantees:
        What passes measures one finite figure for each model; gives the same figures again and writes to no answer;
        takes evidence without a backdoor and without relearning; does not find retrainings at fault; and, where its
        words are 'gone' and 'still there', does not call a model 'gone' that nothing was done to.

    Args:
        audit: The audit.

    Raises:
        ConfigError: It breaks one of these; one line names it and says what to do.

    Example:
        >>> from fedlethe.audit import AUDITS
        >>> check_audit(AUDITS["membership"]())
    """
    demand_instance("check_audit", audit, "AUDITS['membership']()")
    name = path_of(type(audit))
    if (problem := AUDITS.problem(type(audit))) is not None:
        raise ConfigError(f"{name}: {problem}")
    whole = evidence()
    # Most federations have no backdoor, and of patients nobody asks for relearning.
    for given in (whole, without_backdoor_and_relearning(whole)):
        _check_measured(audit, given, name)
    retrained = finding_of(name, audit, measured_by(audit, replace(whole, candidates=whole.references), name))
    if retrained.verdict == audit.words[1]:
        raise ConfigError(f"{name}: finds retrainings at fault ({retrained.statement}); measure all models alike")
    if audit.words == ("gone", "still there"):
        untouched = finding_of(name, audit, measured_by(audit, replace(whole, candidates=whole.untouched), name))
        if untouched.verdict == "gone":
            raise ConfigError(
                f"{name}: calls models 'gone' to which nothing was done ({untouched.statement}); set gated = True"
            )


def _check_measured(audit: Audit, given: Evidence, name: str) -> None:
    measured, again = (measured_by(audit, given, name) for _ in range(2))
    if measured != again:
        raise ConfigError(f"{name}: measures something else each time; draw by seeding.numpy_generator(seed, ...)")
    for which in () if isinstance(measured, str) else ("candidates", "untouched", "references"):
        figures = getattr(measured, which)
        if not np.isfinite(figures).all():
            raise ConfigError(f"{name}: has the figures {figures} for {which}; give one finite figure for each model")


def evidence() -> Evidence:
    """Three candidates like retrainings, three untouched models that know the forgotten images, five retrainings.

    Two classes; answers (n, 2).
    """
    generator = numpy_generator(0, "check_audit")
    labels = {name: generator.integers(0, 2, IMAGES) for name in ("test", "forgotten", "retained")}
    task = Task(**labels, target=0)

    def model(knows: bool) -> Answers:
        """Confidence in the right class: 1 on what is new, 4 on what it trained on."""
        made = {
            name: _log_probabilities(generator.normal(4 if trained else 1, 1, IMAGES), labels[name])
            for name, trained in (("test", False), ("forgotten", knows), ("retained", True))
        }
        triggered = _log_probabilities(generator.normal(3 if knows else -1, 1, IMAGES), np.zeros(IMAGES, np.int64))
        # Who knew the images begins where the others arrive after some steps.
        losses = np.linspace(0.1 if knows else 1.0, 0.05, 13) + generator.normal(0, 0.001, 13)
        return Answers(**made, triggered=triggered, relearn=losses)

    def models(count: int, knows: bool) -> Sequence[Answers]:
        return tuple(model(knows) for _ in range(count))

    return Evidence(task, models(3, False), models(3, True), models(5, False))


def without_backdoor_and_relearning(whole: Evidence) -> Evidence:
    """The same evidence of a federation without a backdoor, of which nobody asked for relearning."""

    def bare(models: Sequence[Answers]) -> Sequence[Answers]:
        return tuple(replace(one, triggered=None, relearn=None) for one in models)

    return Evidence(
        replace(whole.task, target=None), bare(whole.candidates), bare(whole.untouched), bare(whole.references)
    )


def _log_probabilities(confidence: Floats, labels: Labels) -> Floats:
    """Two classes' log-probabilities, shape (n, 2), whose log-odds for the right class are `confidence`, shape (n,)."""
    answers = np.empty((len(confidence), 2))
    answers[np.arange(len(labels)), labels] = -np.logaddexp(0, -confidence)
    answers[np.arange(len(labels)), 1 - labels] = -np.logaddexp(0, confidence)
    return answers
