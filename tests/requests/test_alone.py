# SPDX-License-Identifier: MIT
"""Where nobody but the erased trained, no model from before that stays beside the one after."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import RequestError
from fedlethe.learners.training import train_run
from fedlethe.requests.request import listed
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import carry, certified, document, erased, request, trained, verified

BARE = ErasurePlan(method="influence", options={"scale": 0.75}, repair={"rounds": 0})
ONE = {"rounds": 1, "participation": 0.25}


def _trained_in(run: Path) -> list[str]:
    """The one client of each round."""
    with opened_folder(run) as (_, history):
        return [client for round in range(1, history.rounds + 1) for client in history.weights(round)]


def test_the_only_one_who_trained_is_not_subtracted_beside_the_initial_model(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(federation=ONE))
    (only,) = _trained_in(run)
    asked = request(run, only)
    with pytest.raises(
        RequestError, match=f"nobody who stays trained since the initial model, .* tell what {only} put"
    ):
        carry(run, asked, BARE)
    assert listed(run).requests[0].state == "failed"
    with opened_folder(run) as (_, history):  # what it would have told
        told = 4 * (history.erased_model("0001") - history.initial())
        assert float((told - history.influence(only)).norm()) < 1e-4 * float(told.norm())
    carried = carry(run, asked, replace(BARE, repair={"rounds": 1}))
    assert verified(run, certified(carried)).failed == ()
    assert not (run / "erasures/0001/model.safetensors").exists()


def test_nor_are_two_who_trained_alone_one_after_the_other(tmp_path: Path) -> None:
    """The second's rebased influence holds all that is left of the first: the model after is what is left of both."""
    run = trained(tmp_path / "run", document(federation={"rounds": 2, "participation": 0.25}, seed=12))
    first, second = _trained_in(run)
    erased(run, first, plan=BARE)
    asked = request(run, second)
    with pytest.raises(RequestError, match="nobody who stays trained since the initial model"):
        carry(run, asked, BARE)
    assert carry(run, asked, replace(BARE, repair={"rounds": 1})).request.purge == "done"
    assert verify_ledger(run).failed == ()


def test_who_came_back_alone_after_a_retraining_without_it(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=1))
    before = erased(run, "hospital-3", plan=ErasurePlan(method="retrain", repair={"rounds": 0})).erasure
    later = tmp_path / "later"
    drawn = document(federation=ONE, seed=3)
    train_run(resolve(drawn), later, after=before.model.parent, take_back=["hospital-3"])
    assert _trained_in(later) == ["hospital-3"]
    asked = request(later, "hospital-3")
    with pytest.raises(RequestError, match=rf"trained since {re.escape(str(before.model))}, which stays"):
        carry(later, asked, BARE)
    assert carry(later, asked, replace(BARE, repair={"rounds": 1})).request.purge == "done"
    assert before.model.exists()


@pytest.mark.parametrize("repair", [0, 1])
def test_without_influences_the_models_of_all_rounds_go(repair: int, tmp_path: Path) -> None:
    """Nobody knows how much those who repaired put in, to cover what is left of the erased beside such a model."""
    kept = {"keep": "needed", "methods": ["puf", "rollback"]}
    run = trained(tmp_path / "run", document(federation={"rounds": 2, "participation": 0.25}, seed=12, history=kept))
    first, last = _trained_in(run)
    assert first != last
    erased(run, last, plan=ErasurePlan(method="puf", repair={"rounds": repair}))
    assert [path.stem for path in (run / "global_checkpoints").iterdir()] == ["round_0000"]
