# SPDX-License-Identifier: MIT
"""U-LiRA on confidences drawn from laws that are known: memorised images get 1.5 on top."""

from __future__ import annotations

import numpy as np
import pytest

from fedlethe.audit import Answers
from fedlethe.audit.evidence import Finding, Measured
from fedlethe.audit.judging import judge
from fedlethe.audit.membership import Membership, _variance
from tests.audit.answering import answers, evidence, log_probabilities, task

IMAGES = 300
LABELS = np.arange(IMAGES) % 2
TASK = task(test=LABELS, forgotten=LABELS, retained=LABELS)
HARD = np.random.default_rng(0).normal(1, 1, (3, IMAGES))


def model(seed: int, memorised: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Answers:
    """Phi = difficulty + noise (+ memorised on the forgotten), the whole model `scale` and `shift` surer."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (3, IMAGES))
    test, forgotten, retained = (
        log_probabilities(scale * (HARD[row] + noise[row] + more) + shift, LABELS)
        for row, more in enumerate((0.0, memorised, 1.5))
    )
    return answers(test=test, forgotten=forgotten, retained=retained)


def found(candidates: list[Answers]) -> Finding:
    untouched = [model(100 + seed, memorised=1.5) for seed in range(5)]
    references = [model(200 + seed) for seed in range(8)]
    return judge("membership", Membership(), evidence(TASK, candidates, untouched, references))


def measured(finding: Finding) -> Measured:
    assert finding.measured is not None
    return finding.measured


def test_what_is_memorised_is_found() -> None:
    finding = found([model(seed, memorised=1.5) for seed in range(5)])
    assert (finding.verdict, finding.inside) == ("still there", 0)
    # Each image's log-ratio is linear in phi, whose means lie three standard deviations apart: AUC Phi(3 / sqrt 2).
    assert min(measured(finding).candidates) > 0.95
    assert measured(finding).details["tpr_at_1_percent"] > 0.6
    low, high = measured(finding).details["auc_low"], measured(finding).details["auc_high"]
    assert low < np.mean(measured(finding).candidates) < high


def test_what_is_not_is_not() -> None:
    finding = found([model(seed) for seed in range(5)])
    assert finding.verdict == "gone"
    assert measured(finding).candidates == pytest.approx([0.5] * 5, abs=0.08)
    assert measured(finding).details["auc_unseen"] == pytest.approx(0.5, abs=0.08)
    assert measured(finding).details["tpr_at_1_percent"] < 0.05


def test_a_model_that_is_surer_of_everything_is_no_member() -> None:
    finding = found([model(seed, scale=3.0, shift=2.0) for seed in range(5)])
    assert finding.verdict == "gone"


def test_a_trace_of_either_sign_is_a_trace() -> None:
    assert found([model(seed, memorised=-1.5) for seed in range(5)]).verdict == "still there"


def test_retrainings_are_attacked_like_candidates() -> None:
    figures = measured(found([model(seed) for seed in range(5)]))
    assert len(figures.references) == 8
    assert np.mean(figures.references) == pytest.approx(0.5)  # each pair is a win of one over the other


def test_too_few_models_are_said() -> None:
    assert found([model(0), model(1)]).statement == "it takes 3 models of each kind, there are 2"


def test_a_variance_is_each_images_own_where_there_are_models_enough() -> None:
    phi = np.random.default_rng(0).normal(0, [[1.0, 10.0]], (15, 2))
    assert len(set(_variance(phi))) == 1
    assert _variance(phi)[0] == pytest.approx(phi.var(axis=0, ddof=1).mean())
    phi = np.concatenate([phi, phi[:1]])
    assert _variance(phi) == pytest.approx(phi.var(axis=0, ddof=1))
