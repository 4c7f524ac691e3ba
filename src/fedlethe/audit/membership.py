# SPDX-License-Identifier: MIT
"""Can an attacker tell, image by image, a model that unlearnt it from one that never saw it? U-LiRA.

Hayes, Shumailov, Triantafillou, Khalifa, Papernot, 'Inexact Unlearning Needs More Careful Evaluations to Avoid a
False Sense of Privacy', 2024, after Carlini et al., 2022 (LiRA): for each image one Gaussian over the confidences phi
of models that were trained on it and unlearnt it, one over those of models that never saw it; the score is the log of
their ratio. The model under attack is in neither (leave one model out).

With few models a variance of each image's own cannot be estimated: it is pooled over the images below 16 models
(Carlini et al., 2022, do so, too).

Departs: each model's phi is first standardised by what it answers to held-out images of the same class. Two trainings
differ in how sure they are of everything; without this the attack finds that difference, which is as large between
two retrainings, and calls it membership. What the attack makes of held-out images is the check: AUC near 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedlethe.audit.evidence import Answers, Evidence, Labels, Measured, Verdict
from fedlethe.audit.scores import bootstrap, confidence, tpr_at_fpr
from fedlethe.ranking import Floats, auc

POOLED_BELOW = 16

RETAINED = 1000
"""The most training images of retained clients that it is given to look at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """U-LiRA on the forgotten clients' training images.

    Attributes:
        tolerance: How far above the highest retraining's AUC still counts as gone.
        models: The fewest models of each kind.
        seed: Draws the bootstrap samples.
    """

    paper: ClassVar[str] = "Hayes et al., 2024 (U-LiRA); Carlini et al., 2022 (LiRA)"
    figure: ClassVar[str] = "membership AUC"
    worse: ClassVar[Literal["large", "small"]] = "large"
    words: ClassVar[tuple[Verdict, Verdict]] = ("gone", "still there")
    gated: ClassVar[bool] = True

    tolerance: float = 0.02
    models: int = 3
    seed: int = 0

    def measure(self, evidence: Evidence) -> Measured | str:
        """See `Audit.measure`."""
        least = min(len(evidence.candidates), len(evidence.references))
        if least < self.models:
            return f"it takes {self.models} models of each kind, there are {least}"
        task = evidence.task
        of_forgotten = _attacked(evidence, "forgotten", task.forgotten)
        candidates, references = _areas(*of_forgotten)
        untouched, power = _areas(*_attacked(_of_untouched(evidence), "forgotten", task.forgotten))
        pairs = _scored_pairs(*of_forgotten)
        unlearned = np.concatenate([pair[0] for pair in pairs])
        unseen = np.concatenate([pair[1] for pair in pairs])
        low, high = bootstrap(auc, unlearned, unseen, np.random.default_rng(self.seed))
        details = {
            "auc_low": low,
            "auc_high": high,
            "tpr_at_1_percent": tpr_at_fpr(unlearned, unseen, 0.01),
            "tpr_at_0.1_percent": tpr_at_fpr(unlearned, unseen, 0.001),
            "auc_retained": float(np.mean(_areas(*_attacked(evidence, "retained", task.retained))[0])),
            "auc_unseen": float(np.mean(_areas(*_attacked(evidence, "test", task.test))[0])),
        }
        return Measured(candidates, untouched, references, power=power, details=details)


def _of_untouched(evidence: Evidence) -> Evidence:
    return Evidence(evidence.task, evidence.untouched, evidence.untouched, evidence.references)


def _attacked(evidence: Evidence, images: str, labels: Labels) -> tuple[Floats, Floats]:
    """Standardised phi of the candidates, shape (n, images), and of the references, shape (m, images)."""

    def of(population: Sequence[Answers]) -> Floats:
        return np.stack([_standardised(answers, images, labels, evidence.task.test) for answers in population])

    return of(evidence.candidates), of(evidence.references)


def _standardised(answers: Answers, images: str, labels: Labels, held_out: Labels) -> Floats:
    """Phi less its mean over held-out images of the same class, over its standard deviation there."""
    phi = confidence(getattr(answers, images), labels)
    usual = confidence(answers.test, held_out)
    for label in np.unique(labels):
        same = usual[held_out == label] if (held_out == label).any() else usual
        phi[labels == label] = (phi[labels == label] - same.mean()) / (same.std() + 1e-6)
    return phi


def _areas(unlearned: Floats, unseen: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """AUC of telling each unlearned model from the unseen ones; and each unseen one from the others, by that attack."""
    n, m = len(unlearned), len(unseen)
    candidates = np.zeros((n, m))
    references = np.full((n, m, m), np.nan)
    for i in range(n):
        for j in range(m):
            without = np.delete(unseen, j, axis=0)
            score = _attack(np.delete(unlearned, i, axis=0), without)
            negative = score(unseen[j])
            candidates[i, j] = auc(score(unlearned[i]), negative)
            for k in range(j):
                both = _attack(np.delete(unlearned, i, axis=0), np.delete(unseen, [j, k], axis=0))
                area = auc(both(unseen[k]), both(unseen[j]))
                references[i, k, j], references[i, j, k] = area, 1 - area
    return tuple(candidates.mean(axis=1).tolist()), tuple(np.nanmean(references, axis=(0, 2)).tolist())


def _scored_pairs(unlearned: Floats, unseen: Floats) -> list[tuple[Floats, Floats]]:
    """The scores of each unlearned model and of an unseen one, neither of which the attack knows."""
    pairs = []
    for i in range(len(unlearned)):
        j = i % len(unseen)
        score = _attack(np.delete(unlearned, i, axis=0), np.delete(unseen, j, axis=0))
        pairs.append((score(unlearned[i]), score(unseen[j])))
    return pairs


class _attack:  # noqa: N801
    """The log-likelihood ratio of each image's phi, shape (images,), fitted to (models, images) of either kind."""

    def __init__(self, unlearned: Floats, unseen: Floats) -> None:
        self.gaussians = [(phi.mean(axis=0), _variance(phi)) for phi in (unlearned, unseen)]

    def __call__(self, phi: Floats) -> Floats:
        into, out = (-((phi - mean) ** 2) / (2 * variance) - np.log(variance) / 2 for mean, variance in self.gaussians)
        ratio: Floats = np.round(into - out, 6)  # below that it is the rounding of float32 that differs
        return ratio


def _variance(phi: Floats) -> Floats:
    own = phi.var(axis=0, ddof=1) if len(phi) > 1 else np.ones(phi.shape[1])
    pooled = np.full_like(own, own.mean())
    return np.maximum(own if len(phi) >= POOLED_BELOW else pooled, 1e-6)
