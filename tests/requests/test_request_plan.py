# SPDX-License-Identifier: MIT
"""Plans that cannot be carried out are refused before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError, RequestError
from fedlethe.learners.training import train_run
from fedlethe.requests.request import listed
from fedlethe.runs.opening import opened_run
from tests.requests.acting import (
    GONE,
    PLAIN,
    RECOMMENDED,
    carry,
    document,
    request,
)

RETRAIN = ErasurePlan(method="retrain", repair={"rounds": 0})
SUBTRACT = ErasurePlan(method="influence", repair={"rounds": 0})


def _plainly(run: Path, client: str) -> str:
    with opened_run(run) as opened:
        return erase(opened, order_erasure(opened, [client], RETRAIN)).id


def test_a_subtraction_beside_a_retraining_would_tell_the_influence_and_is_refused(short: Path) -> None:
    """In round one everybody trains from the initial model: the retraining has the very deltas of the training."""
    with opened_run(short) as opened:
        history = opened.history
        share = history.weights(1)[GONE]
        influence, initial = history.influence(GONE), history.initial()
    made = _plainly(short, GONE)
    asked = request(short, GONE)
    with pytest.raises(RequestError, match=f"was made without {GONE}, and stays;.*as the result, {made}"):
        carry(short, asked, SUBTRACT)
    with opened_run(short) as opened:  # what it would have told
        plan = ErasurePlan(method="influence", options={"scale": 0.75}, repair={"rounds": 0})
        subtracted = erase(opened, order_erasure(opened, [GONE], plan))
        left = opened.history.erased_model(subtracted.id) - initial
        left -= (1 - share) * (opened.history.erased_model(made) - initial)
    assert float((left - 0.25 * influence).norm()) < 1e-4 * float(influence.norm())
    carried = carry(short, asked, ErasurePlan(result=made))
    assert carried.erasure.id == made
    assert carried.request.purge == "done"


def test_one_after_the_other_and_not_across(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = request(run, GONE), request(run, "hospital-2")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.requests.carry_out.issue", killed)
        with pytest.raises(KeyboardInterrupt):
            carry(run, first, PLAIN)
    assert [held.state for held in listed(run).requests] == ["audited", "opened"]
    with pytest.raises(FedletheError, match="request R0001 is audited; finish it first"):
        carry(run, second)
    with pytest.raises(FedletheError, match="begun in another way"):
        carry(run, first, RECOMMENDED)
    carry(run, first)
    assert carry(run, second, PLAIN).erasure.after == "0001"


def test_a_retraining_beside_in_a_run_that_this_one_began_from_is_refused_too(short: Path, tmp_path: Path) -> None:
    made = _plainly(short, GONE)
    with opened_run(short) as opened:
        other = erase(opened, order_erasure(opened, ["hospital-2"], SUBTRACT)).id
    later = tmp_path / "later"
    train_run(resolve(document(rounds=1)), later, after=short / "erasures" / other)
    asked = request(later, GONE)
    with pytest.raises(RequestError, match=rf"/erasures/{made}/model.safetensors was made without {GONE}, and stays"):
        carry(later, asked, SUBTRACT)
    assert carry(later, asked, RETRAIN).request.purge == "done"


def test_a_retraining_that_a_client_came_back_after_tells_nothing_of_it(short: Path, tmp_path: Path) -> None:
    made, later = _plainly(short, GONE), tmp_path / "later"
    train_run(resolve(document(rounds=1)), later, after=short / "erasures" / made, take_back=[GONE])
    assert carry(later, request(later, GONE), SUBTRACT).request.purge == "done"


def test_decoys_are_refused_since_the_purge_shows_who_asked(short: Path) -> None:
    """Nobody would be drawn: the record would speak of others who were never erased along."""
    asked = request(short, GONE)
    with pytest.raises(RequestError, match="decoys: the purge that follows shows who asked"):
        carry(short, asked, replace(RETRAIN, decoys=1))
    assert [one.state for one in listed(short).requests] == ["opened"]
