# SPDX-License-Identifier: MIT
"""Models that stay beside a request's result: refused where they would tell what is left, listed where they stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedlethe.erasing.auditing import attested
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import RequestError
from fedlethe.requests import signing
from fedlethe.runs.opening import opened_run
from tests.requests.acting import carry, certified, document, erased, request, trained

GONE, OTHER = "hospital-1", "hospital-2"
RETRAIN = ErasurePlan(method="retrain", repair={"rounds": 0})
SUBTRACT = ErasurePlan(method="influence", repair={"rounds": 0})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path / "run", document(rounds=1))


def _plainly(run: Path, client: str) -> str:
    with opened_run(run) as opened:
        return erase(opened, order_erasure(opened, [client], RETRAIN)).id


def _purge_said(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(signing.unchecked(path.read_bytes(), path))["predicate"]["purge"]
    return found


def test_a_subtraction_beside_a_retraining_would_tell_the_influence_and_is_refused(run: Path) -> None:
    """In round one everybody trains from the initial model: the retraining has the very deltas of the training."""
    with opened_run(run) as opened:
        history = opened.history
        share = history.weights(1)[GONE]
        influence, initial = history.influence(GONE), history.initial()
    made = _plainly(run, GONE)
    asked = request(run, GONE)
    with pytest.raises(RequestError, match=f"was made without {GONE}, and stays;.*--result {made}"):
        carry(run, asked, SUBTRACT)
    with opened_run(run) as opened:  # what it would have told
        plan = ErasurePlan(method="influence", options={"scale": 0.75}, repair={"rounds": 0})
        subtracted = erase(opened, order_erasure(opened, [GONE], plan))
        left = opened.history.erased_model(subtracted.id) - initial
        left -= (1 - share) * (opened.history.erased_model(made) - initial)
    assert float((left - 0.25 * influence).norm()) < 1e-4 * float(influence.norm())
    carried = carry(run, asked, ErasurePlan(result=made))
    assert carried.erasure.id == made
    assert carried.request.purge == "done"


def test_every_model_that_stays_is_in_the_certificate(run: Path) -> None:
    with opened_run(run) as opened:
        both = erase(opened, order_erasure(opened, [GONE, OTHER], RETRAIN)).id
    path = certified(erased(run, GONE, plan=RETRAIN))
    remains = _purge_said(path)["remains"]
    assert (run / "erasures" / both / "model.safetensors").exists()
    assert any(words.startswith(f"the model of erasure {both}, which holds nothing of them") for words in remains)
    before = _purge_said(path.with_name("certificate-before-purge.json"))["remains"]
    assert before == remains
    living = {one.parent.name for one in run.glob("erasures/*/model.safetensors")}
    assert len([words for words in remains if "model" in words.split(",")[0] and "initial" not in words]) >= len(living)


def test_figures_of_audits_are_kept_to_three_digits(run: Path) -> None:
    carried = carry(run, request(run, GONE), ErasurePlan(method="retrain", references=3))
    with opened_run(run) as opened:
        found = attested(opened, carried.erasure.id)
    assert found is not None
    figures = [
        value
        for finding in found.findings
        if finding.measured is not None
        for value in (*finding.measured.candidates, *finding.measured.untouched, *finding.measured.references)
    ]
    assert len(figures) > 5
    assert all(value == float(f"{value:.2e}") for value in figures)
