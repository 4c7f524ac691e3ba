# SPDX-License-Identifier: MIT
"""Which model holds whom: by what it was made from, whenever it was made; and which model a request ends with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import recorded
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.privacy.hiding import Hidden
from fedlethe.requests import signing
from fedlethe.requests.carry_out import purge_due
from fedlethe.requests.request_plan import current
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs import lineage
from fedlethe.runs.lineage import BACK_TO, RETRAINS, held_by, made_anew
from fedlethe.runs.opening import opened_run
from fedlethe.runs.past import Made
from fedlethe.types import Guarantee
from fedlethe.unlearning import METHODS
from fedlethe.unlearning.method import retrains_from
from tests.requests.acting import KEY, carry, certified, document, request, trained

GONE, OTHER = "hospital-1", "hospital-2"
FULL = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
RETRAIN = ErasurePlan(method="retrain", options={}, mask={}, repair={})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path / "run", document(rounds=2))


def _erase(run: Path, *clients: str, method: str = "retrain", after: str | None = None, **options: Any) -> str:
    with opened_run(run) as opened:
        return erase(
            opened,
            order_erasure(
                opened, clients, ErasurePlan(method=method, options=options, repair={"rounds": 0}, after=after)
            ),
        ).id


def _held(run: Path, id: str | None) -> set[str]:
    with opened_run(run) as opened:
        return {name.removeprefix("hospital-") for name in held_by(opened.parts(id))}


def test_who_is_in_a_model(run: Path) -> None:
    assert _held(run, None) == set("0123")
    subtracted = _erase(run, GONE, method="influence", scale=1.0)
    assert _held(run, subtracted) == set("0123")  # the others' updates were computed from models that held it
    retrained = _erase(run, GONE)
    assert _held(run, retrained) == set("023")
    both = _erase(run, OTHER, after=subtracted)
    assert _held(run, both) == set("03")  # trained from the start without either
    assert _held(run, _erase(run, OTHER, method="influence", scale=0.5, after=retrained)) == set("023")


def test_a_model_that_never_held_the_client_outlives_its_purge(run: Path) -> None:
    subtracted, retrained = _erase(run, GONE, method="influence", scale=1.0), _erase(run, GONE)
    other, without_both = _erase(run, OTHER), _erase(run, GONE, OTHER)
    mine = carry(run, request(run, GONE), RETRAIN).erasure.id
    assert mine not in (subtracted, retrained)  # an earlier one is not taken for the request's own
    there = {path.parent.name for path in run.glob("erasures/*/model.safetensors")}
    assert there == {mine, retrained, without_both}
    assert not (run / f"erasures/{other}/model.safetensors").exists()  # retrained with the client
    assert not verify_ledger(run).failed


def test_an_erasure_that_was_made_before_can_be_the_result(run: Path) -> None:
    retrained, _ = _erase(run, GONE), _erase(run, GONE, method="influence", scale=1.0)
    model = (run / f"erasures/{retrained}/model.safetensors").read_bytes()
    carried = carry(run, request(run, GONE), replace(FULL, result=retrained))
    assert carried.erasure.id == retrained
    statement = json.loads(signing.opened(certified(carried).read_bytes(), KEY.public, certified(carried)))
    assert statement["predicate"]["claim"]["kind"] == "exact"
    assert [path.read_bytes() for path in run.glob("erasures/*/model.safetensors")] == [model]
    with opened_run(run) as opened:
        assert current(opened.history.ledger) == retrained
        assert opened.history.final_path() == f"erasures/{retrained}/model.safetensors"
        influences = [opened.history.influence(f"hospital-{number}") for number in (0, 2, 3)]
        rest = opened.history.final() - opened.history.initial() - sum(influences)
        assert float(rest.norm()) < 1e-5
    assert carry(run, request(run, OTHER), FULL).erasure.after == retrained
    assert not verify_ledger(run).failed


def test_a_result_of_others_or_of_a_model_with_erased_clients_is_refused(run: Path) -> None:
    other, both, early = _erase(run, OTHER), _erase(run, GONE, OTHER), _erase(run, GONE)
    id = request(run, GONE)
    for wrong in (other, both):
        with pytest.raises(FedletheError, match=f"result {wrong}: is the erasure of .*{OTHER}, not of {GONE}"):
            carry(run, id, replace(FULL, result=wrong))
    with pytest.raises(FedletheError, match="there is no erasure '0099'"):
        carry(run, id, replace(FULL, result="0099"))
    carry(run, request(run, OTHER), replace(RETRAIN, repair={"rounds": 1}))
    with pytest.raises(FedletheError, match="may hold hospital-2"):
        carry(run, id, replace(FULL, result=early))


def test_the_run_s_model_is_that_of_the_request_certified_last(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its erasure has a lower number than the first request's, and the first one's purge comes after it."""
    both_before = _erase(run, OTHER)
    first = carry(run, request(run, GONE), replace(RETRAIN, keep_for=30)).erasure.id
    second = carry(run, request(run, OTHER), RETRAIN).erasure.id
    assert both_before < first < second
    monkeypatch.setattr(chain, "clock", lambda: "2099-01-01T00:00:00+00:00")
    with opened_run(run) as opened:
        assert len(purge_due(opened, KEY).carried) == 1
        assert current(opened.history.ledger) == second
        assert opened.history.final_path() == f"erasures/{second}/model.safetensors"
    assert not verify_ledger(run).failed


def test_who_only_repaired_a_model_is_in_it_and_the_model_goes_with_its_purge(tmp_path: Path) -> None:
    drawn = document(rounds=1, federation={"rounds": 1, "participation": 0.25})
    run = trained(tmp_path / "run", drawn)
    with opened_run(run) as opened:
        (alone,) = opened.history.participants(1)
        other, *_ = sorted(set(opened.history.clients) - {alone})
        plan = ErasurePlan(method="influence", repair={"rounds": 1})
        repaired = erase(opened, order_erasure(opened, [alone], plan)).id
    assert _held(run, None) == {alone.removeprefix("hospital-")}
    assert _held(run, repaired) == set("0123")  # it was subtracted, and the others trained on
    held = run / f"erasures/{repaired}/model.safetensors"
    assert held.is_file()
    carry(run, request(run, other), ErasurePlan(method="fine_tune", after=repaired))
    assert not held.exists()


def test_those_that_are_known_to_train_again_are_those_that_say_so() -> None:
    assert {name for name in METHODS.rows if retrains_from(METHODS[name]()) is not None} == set(RETRAINS)


def test_a_method_s_bare_word_takes_nobody_out_of_a_model(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a version that believed it entered it: the model goes with the purge, and no request is held against it."""
    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.unlearning.method._of_fedlethe", lambda kind: True)
        patch.setattr("fedlethe.erasing.entering.borne_out", lambda made, parts: made.guarantee)
        said = _erase(run, GONE, method="tests.testing.broken_methods:Promises")
    with opened_run(run) as opened:
        assert recorded(opened.history, said).guarantee is not None
    assert _held(run, said) == set("0123")
    id = request(run, GONE)
    with pytest.raises(FedletheError, match=f"erasure {said}: its record claims 'guaranteed', .* 'evidence' at most"):
        carry(run, id, replace(FULL, result=said))
    carry(run, id, FULL)
    assert not (run / f"erasures/{said}/model.safetensors").exists()
    assert not verify_ledger(run).failed


def test_where_an_erasure_had_nothing_to_do_what_an_earlier_one_left_is_in_the_model(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=1, federation={"rounds": 1, "participation": 0.5}))
    with opened_run(run) as opened:
        came = opened.history.participants(1)
        idle, *_ = sorted(set(opened.history.clients) - set(came))
    left = _erase(run, came[0], method="influence", scale=0.5)
    nothing = _erase(run, idle, method="influence", after=left)
    with opened_run(run) as opened:
        assert recorded(opened.history, nothing).guarantee is not None
    assert _held(run, nothing) == _held(run, left) == {name.removeprefix("hospital-") for name in came}


def _hidden(by: str) -> Hidden:
    return Hidden(
        by=by,
        among=("a", "b"),
        erased=1,
        distance=1.0,
        sigma=1.0,
        mu=1.0,
        epsilon=1.0,
        delta=1e-5,
        guess=0.5,
        hit=0.5,
        covers="it",
        leaves="nothing",
    )


@pytest.mark.parametrize(
    ("method", "found", "first", "anew"),
    [
        ("retrain", {}, 1, True),
        ("rollback", {}, 3, True),
        ("closed-form", {}, 1, True),
        ("influence", {BACK_TO: 0.0}, 1, False),
        ("sifu", {BACK_TO: 2.0}, 3, True),
        ("sifu", {BACK_TO: 3.0}, 3, False),  # the model after that round holds it
        ("sifu", {}, 3, False),
        ("sifu", {BACK_TO: 2.0}, None, False),
    ],
)
def test_what_made_a_model_anew_is_told_from_how_and_by_no_noise_of_models_that_held_it(
    method: str, found: dict[str, float], first: int | None, anew: bool
) -> None:
    assert made_anew(method, found, None, first) == anew
    assert made_anew(method, found, _hidden("isotropic"), first) == anew
    assert not made_anew(method, found, _hidden("subspace"), first)
    assert not made_anew(method, found, _hidden("shaped"), first)


@pytest.mark.parametrize(("claimed", "held"), [(True, False), (False, True)])
def test_a_model_that_nothing_is_claimed_of_holds_who_was_in_the_one_before(
    claimed: bool, held: bool, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app of one's own can call what it records a retraining."""
    guarantee = Guarantee("exact", "trained again") if claimed else None
    made = Made(forget=(GONE,), method="retrain", guarantee=guarantee)
    monkeypatch.setattr(lineage, "chain_of", lambda *_: [("0001", made)])
    with opened_run(run) as opened:
        assert (GONE in held_by(opened.parts())) == held
