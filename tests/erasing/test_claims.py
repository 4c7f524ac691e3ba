# SPDX-License-Identifier: MIT
"""What may be claimed of a model, worked out from how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.claims import CLAIMS, stronger, strongest
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import HistoryError
from fedlethe.learners.training import train_run
from fedlethe.runs.opening import opened_run
from tests.requests.acting import document, trained

GONE = "hospital-1"
RETRAIN = ErasurePlan(method="retrain", repair={"rounds": 0})


def _without(out: Path, **tables: Any) -> torch.Tensor:
    """The model that a training from scratch leads to on the data without the client."""
    whole = document(rounds=2, **tables)
    whole["partition"] = {"leave_out": [GONE]}
    train_run(resolve(whole), out)
    with opened_run(out) as run:
        return run.history.final()


@pytest.mark.parametrize(("participation", "kind"), [(1.0, "exact"), (0.75, "guaranteed")])
def test_exact_is_claimed_of_a_model_that_training_without_the_client_gives_and_of_no_other(
    participation: float, kind: str, tmp_path: Path
) -> None:
    federation = {"rounds": 2, "participation": participation}
    run = trained(tmp_path / "run", {**document(rounds=2), "federation": federation})
    anew = _without(tmp_path / "anew", federation=federation)
    with opened_run(run) as opened:
        erasure = erase(opened, order_erasure(opened, [GONE], RETRAIN))
        assert erasure.guarantee is not None
        assert erasure.guarantee.kind == strongest(erasure, opened.parts(erasure.id)) == kind
        assert torch.equal(opened.history.erased_model(erasure.id), anew) == (kind == "exact")
    if kind == "guaranteed":
        assert "a training without them draws others" in erasure.guarantee.statement


def test_where_nobody_is_left_in_any_round_there_is_no_retraining(tmp_path: Path) -> None:
    tables = {"federation": {"rounds": 1, "participation": 0.25}}
    run = trained(tmp_path / "run", {**document(rounds=1), **tables})
    with opened_run(run) as opened:
        (alone,) = opened.history.participants(1)
        order = order_erasure(opened, [alone], RETRAIN)
        with pytest.raises(HistoryError, match=f"only {alone} took part in the rounds after round 0"):
            erase(opened, order)


def test_the_claims_are_in_their_order() -> None:
    assert stronger("exact", "guaranteed")
    assert stronger("guaranteed", "evidence")
    assert not stronger("evidence", "evidence")
    assert list(CLAIMS) == ["exact", "guaranteed", "evidence"]
