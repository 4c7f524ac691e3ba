# SPDX-License-Identifier: MIT
"""What may be claimed of a model, worked out from how it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.claims import CLAIMS, stronger, strongest
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import recorded
from fedlethe.errors import FedletheError, HistoryError
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import carry_out
from fedlethe.requests.request import open_request
from fedlethe.runs.opening import opened_run
from fedlethe.types import Guarantee
from tests.requests.acting import CLOSED, KEY, certified, document, images_of_patients, predicate, trained

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


@pytest.mark.parametrize(("learner", "most"), [({}, "exact"), ({"epsilon": 3.0}, "guaranteed")])
def test_of_statistics_with_noise_exact_cannot_be_claimed_whatever_the_record_says(
    learner: dict[str, float], most: str, tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", {**CLOSED, "closed_form": {"dimension": 8, **learner}})
    with opened_run(run) as opened:
        made = erase(opened, order_erasure(opened, [GONE], ErasurePlan()))
        assert made.guarantee is not None
        assert made.guarantee.kind == most
        forged = replace(made, guarantee=Guarantee("exact", "it is what they say"))
        assert strongest(forged, opened.parts(made.id)) == most


def test_without_a_patient_the_same_clients_are_drawn(tmp_path: Path) -> None:
    """Retraining is exact where not everybody took part in every round: who does is not drawn among patients."""
    data = {"source": "table", "path": str(images_of_patients(tmp_path / "images", 1)), "size": 16, "channels": 1}
    tables = {"federation": {"rounds": 2, "participation": 0.5}, "local": {"epochs": 1}}
    run = trained(tmp_path / "run", {"data": data, **tables})
    with opened_run(run) as opened:
        asked = open_request(opened, ["north"], ["north 3"], "withdrew", "the tests")
        carried = carry_out(opened, asked.id, RETRAIN, KEY)
        made = carried.erasure
        assert made.guarantee is not None
        assert (made.guarantee.kind, strongest(made, opened.parts(made.id))) == ("exact", "exact")
        assert "drawn" not in made.guarantee.statement
        model = opened.history.erased_model(made.id)
    table = tmp_path / "images/table.csv"
    lines = table.read_text().splitlines()
    (tmp_path / "images/less.csv").write_text("\n".join(one for one in lines if ",north 3," not in one) + "\n")
    data = {**data, "path": str(tmp_path / "images/less.csv")}
    with opened_run(trained(tmp_path / "anew", {"data": data, **tables})) as anew:
        assert torch.equal(model, anew.history.final())


def test_a_patient_s_client_that_training_went_back_before_and_that_came_back_is_guaranteed(tmp_path: Path) -> None:
    """What the record claims is no more than what is worked out, so that the request comes to its end."""
    data = {"source": "table", "path": str(images_of_patients(tmp_path / "images", 1)), "size": 16, "channels": 1}
    tables = {"federation": {"rounds": 1}, "local": {"epochs": 1}, "history": {"keep": "everything"}}
    run = trained(tmp_path / "run", {"data": data, **tables})
    with opened_run(run) as opened:
        asked = open_request(opened, ["north"], ["north 3"], "withdrew", "the tests")
        plan = ErasurePlan(method="sifu", options={"sigma": 1e-9})
        carried = carry_out(opened, asked.id, plan, KEY)
    made = carried.erasure.guarantee
    assert made is not None
    assert made.kind == "guaranteed"
    assert made.statement.endswith("; then repaired 1, without the erased images: no longer a retraining")
    assert carried.request.purge == "done"


def test_what_an_earlier_erasure_left_is_not_exact_because_the_next_one_had_nothing_to_do(tmp_path: Path) -> None:
    """Who is drawn does not hang on patients, so that nothing else stands against 'exact'."""
    names = ("north", "south", "west")
    data = {"source": "table", "path": str(images_of_patients(tmp_path / "images", 1, names)), "size": 16}
    tables = {"federation": {"rounds": 1, "participation": 0.6}, "local": {"epochs": 1}}
    run = trained(tmp_path / "run", {"data": {**data, "channels": 1}, **tables})
    nothing = ErasurePlan(method="influence", options={"scale": 0.75}, repair={"rounds": 0})
    with opened_run(run) as opened:
        came = opened.history.participants(1)
        (idle,) = set(names) - set(came)
        left = erase(opened, order_erasure(opened, [came[0]], nothing))
        asked = open_request(opened, [idle], [f"{idle} 2"], "withdrew", "the tests")
        made = carry_out(opened, asked.id, replace(nothing, repair={}, after=left.id), KEY).erasure
        assert opened.history.erased_model(made.id).equal(opened.history.erased_model(left.id))
        assert made.guarantee is not None
        assert (made.guarantee.kind, strongest(made, opened.parts(made.id))) == ("guaranteed", "guaranteed")


OUTSIDE = "tests.testing.broken_methods:"


@pytest.mark.parametrize(
    ("method", "says"), [("Promises", "gives a guarantee"), ("SaysItRetrains", "says 'retrains_from'")]
)
def test_a_method_s_word_of_itself_enters_nothing_and_leaves_the_request_a_way_on(
    method: str, says: str, tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", document(rounds=1))
    plan = ErasurePlan(method=OUTSIDE + method)
    with opened_run(run) as opened:
        with pytest.raises(FedletheError, match=says):
            erase(opened, order_erasure(opened, [GONE], plan))
        asked = open_request(opened, [GONE], [], "withdrew", "the tests")
        with pytest.raises(FedletheError, match=says):
            carry_out(opened, asked.id, plan, KEY)
        assert opened.history.ledger.erasures() == {}
        carried = carry_out(opened, asked.id, RETRAIN, KEY)
        assert carried.request.purge == "done"
        assert carried.erasure.guarantee is not None


def test_a_method_from_outside_is_evidence_and_a_request_takes_it(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=1))
    with opened_run(run) as opened:
        asked = open_request(opened, [GONE], [], "withdrew", "the tests")
        carried = carry_out(opened, asked.id, ErasurePlan(method=f"{OUTSIDE}Sound"), KEY)
    assert (carried.erasure.guarantee, carried.request.purge) == (None, "done")
    assert predicate(certified(carried))["claim"]["kind"] == "evidence"


def test_a_record_says_no_more_than_is_borne_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives it: fedlethe's own methods are held to it, too."""
    run = trained(tmp_path / "run", document(rounds=1))
    plan = ErasurePlan(method=f"{OUTSIDE}Promises", repair={"rounds": 0})
    monkeypatch.setattr("fedlethe.unlearning.method._of_fedlethe", lambda kind: True)
    with opened_run(run) as opened:
        made = erase(opened, order_erasure(opened, [GONE], plan))
        assert (made.guarantee, recorded(opened.history, made.id).guarantee) == (None, None)
