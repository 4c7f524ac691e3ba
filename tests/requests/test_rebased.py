# SPDX-License-Identifier: MIT
"""The influences that stay: the formula, what they give away, and what the next erasure makes of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import carry_out
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import (
    GONE,
    KEY,
    OTHER,
    PLAIN,
    RECOMMENDED,
    certified,
    document,
    erased,
    images_of_patients,
    request,
    trained,
    verified,
)


@pytest.mark.parametrize(
    ("method", "keep"), [("retrain", ["influence"]), ("retrain", ["fed_recover"]), ("rollback", ["rollback"])]
)
def test_influences_that_stay_are_of_the_training_without_the_erased(
    method: str, keep: list[str], tmp_path: Path
) -> None:
    """Those of the training with it were made in its presence, and the next erasure would bring that back."""
    kept, models = [], []
    for seed in (1, 2):
        table = images_of_patients(tmp_path / f"images-{seed}", seed, ("north", "south", "west", "east"))
        data = {"source": "table", "path": str(table), "size": 16, "channels": 1}
        training = {"federation": {"rounds": 2}, "local": {"epochs": 1}, "history": {"methods": keep}}
        run = trained(tmp_path / f"run-{seed}", {"data": data, **training})
        erased(run, "north", plan=ErasurePlan(method=method, options={}, mask={}, repair={"rounds": 0}))
        with opened_folder(run) as (_, history):
            held = history.ledger.artefacts().values()
            kept.append({one.path: history.store.content(one) for one in held if one.kind == "influence"})
            if kept[-1]:
                total = history.initial().double() + sum(
                    history.influence(c).double() for c in ("south", "west", "east")
                )
                assert torch.allclose(total.float(), history.erased_model("0001"), atol=1e-6)
        plan = PLAIN if kept[-1] else replace(PLAIN, method="retrain", options={})
        erased(run, "south", plan=plan)
        with opened_folder(run) as (_, history):
            models.append(history.erased_model("0002"))
    assert bool(kept[0]) == (keep != ["rollback"])
    assert kept[0] == kept[1]
    assert torch.equal(*models)


@pytest.mark.parametrize("repair", [0, 1])
def test_where_no_influence_is_left_methods_that_need_it_say_so(repair: int, tmp_path: Path) -> None:
    config = document(hospitals=4, rounds=3, federation={"rounds": 3, "participation": 0.5}, seed=2)
    run = trained(tmp_path / "run", config)
    with opened_run(run) as opened:
        entered = {
            c: next(r for r in range(1, 4) if c in opened.history.weights(r)) for c in opened.history.contributors()
        }
        late = max(entered, key=lambda client: entered[client])
        assert entered[late] > 1
    erased(run, late, plan=ErasurePlan(method="rollback", options={}, mask={}, repair={"rounds": repair}))
    other = min(set(entered) - {late})
    with pytest.raises(FedletheError, match=r"influence: .* went with a purge"):
        erased(run, other, plan=PLAIN)
    with opened_run(run) as opened:
        plan = ErasurePlan(method="retrain", options={}, mask={}, repair={"rounds": 0})
        assert carry_out(opened, "R0002", plan, KEY).request.state == "completed"


def test_what_cannot_be_rebased_in_a_chain_is_found_before_anything_is_condemned(tmp_path: Path) -> None:
    config = document(hospitals=4, rounds=2, history={"methods": ["retrain"]})
    first, second = trained(tmp_path / "first", config), tmp_path / "second"
    erased(first, GONE, plan=replace(PLAIN, method="retrain", options={}))
    train_run(
        resolve(document(hospitals=4, rounds=1, history={"methods": ["influence"]})),
        second,
        after=first / "erasures/0001",
    )
    erased(second, "hospital-2", plan=replace(PLAIN, method="fine_tune", options={}))
    for run in (first, second):
        assert not verify_ledger(run).failed


def test_after_a_retraining_methods_that_need_the_training_before_it_are_refused(small: Path) -> None:
    with opened_run(small) as opened:
        one = erase(opened, order_for(opened.config, [GONE], ErasurePlan(method="retrain")))
        with pytest.raises(FedletheError, match="trained the model anew"):
            erase(opened, order_for(opened.config, ["hospital-2"], ErasurePlan(method="fed_eraser", after=one.id)))


def test_a_later_run_does_not_subtract_what_an_earlier_purge_left_it_without(run: Path, tmp_path: Path) -> None:
    """Its influences of the earlier training were rebased since, on a model that it did not begin from."""
    first = erased(run, GONE, plan=PLAIN)
    out = tmp_path / "later"
    train_run(resolve(document(rounds=1)), out, after=run / "erasures" / first.erasure.id)
    with opened_run(out) as opened:
        before = erase(
            opened,
            order_erasure(
                opened, [OTHER], ErasurePlan(method="influence", options={"scale": 1.0}, repair={"rounds": 0})
            ),
        )
        assert before.guarantee is None
    erased(run, OTHER, plan=PLAIN)
    with opened_run(out) as opened:
        for client in (OTHER, "hospital-0"):
            plan = order_erasure(
                opened, [client], ErasurePlan(method="influence", options={"scale": 0.5}, repair={"rounds": 0})
            )
            with pytest.raises(
                FedletheError,
                match=r"/run: each client's summed weighted deltas went with a purge; erase by retraining",
            ):
                erase(opened, plan)
    carried = erased(out, OTHER, plan=ErasurePlan(method="retrain", options={}, mask={}, repair={}))
    assert carried.request.purge == "done"
    assert verified(out, certified(carried)).failed == ()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sealed") / "run", document())


def test_what_is_kept_does_not_give_the_erased_influence_away(sealed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    with opened_folder(run) as (_, history):
        influence = {client: history.influence(client) for client in history.clients}
    # The recipe takes out three quarters. With the others' influences as they were, the rest is plain to see ...
    erased(run, GONE, plan=replace(RECOMMENDED, repair={"rounds": 0}))
    with opened_run(run) as opened:
        history, model = opened.history, opened.history.erased_model("0001")
        others = torch.stack([vector for client, vector in influence.items() if client != GONE]).sum(dim=0)
        left = model - history.initial() - others
        torch.testing.assert_close(left, 0.25 * influence[GONE], atol=1e-6, rtol=0)
        # ... and with what is kept there is nothing: all of the model is somebody's who stays.
        kept = {client: history.influence(client) for client in opened.data.clients}
        assert set(kept) == set(influence) - {GONE}
        rest = model - history.initial() - torch.stack(list(kept.values())).sum(dim=0)
        assert rest.norm() <= 1e-5 * left.norm()
        sizes = {client: float(influence[client].double().square().sum()) for client in kept}
        for client, vector in kept.items():
            share = sizes[client] / sum(sizes.values())
            torch.testing.assert_close(vector - influence[client], share * left, atol=1e-6, rtol=0)


def test_the_rebased_influence_is_the_formula(sealed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    with opened_folder(run) as (_, history):
        before = {client: history.influence(client).double() for client in history.clients}
    plan = replace(RECOMMENDED, keep_for=30)
    erased(run, GONE, plan=plan)
    with opened_folder(run) as (_, history):  # kept for now, so that what the repair added can be read
        repair = {client: vector.double() for client, vector in history.repair("0001").items()}
        model, initial = history.erased_model("0001").double(), history.initial().double()
    purged = Path(shutil.copytree(sealed, tmp_path / "purged"))
    erased(purged, GONE)
    stayed = [client for client in before if client != GONE]
    put = {client: before[client] + repair[client] for client in stayed}
    rest = model - initial - sum(put.values())
    squares = {c: float(before[c].square().sum() + repair[c].square().sum()) for c in stayed}
    with opened_folder(purged) as (_, history):
        assert torch.equal(history.erased_model("0001").double(), model)
        for client in stayed:
            share = squares[client] / sum(squares.values())
            torch.testing.assert_close(
                history.influence(client).double(), put[client] + share * rest, atol=1e-7, rtol=1e-5
            )


def test_the_next_erasure_begins_from_what_the_purge_left(sealed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    erased(run, GONE)
    with opened_folder(run) as (_, history):
        first, influence = history.final(), history.influence("hospital-2")
    full = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
    second = erased(run, "hospital-2", plan=full)
    assert second.erasure.after == "0001"
    with opened_folder(run) as (_, history):
        torch.testing.assert_close(history.final(), first - influence)
        assert history.base == "0002"
    third = erased(run, "hospital-3", plan=replace(full, method="retrain", options={}))
    assert third.erasure.guarantee is not None
    assert third.erasure.guarantee.kind == "exact"
    with opened_run(run) as opened:
        assert list(opened.data.clients) == ["hospital-0"]
        assert opened.history.keep.isdisjoint(
            {need for need in opened.history.keep if need.name in ("DELTAS", "GLOBALS")}
        )
        initial, final = opened.history.initial(), opened.history.final()
        assert torch.linalg.vector_norm(initial + opened.history.influence("hospital-0") - final) < 1e-6 * final.norm()
    with pytest.raises(FedletheError, match="no client would be left"):
        request(run, "hospital-0")


def test_retraining_in_sequence_with_a_purge_between_is_retraining_at_once(sealed: Path, tmp_path: Path) -> None:
    run, other = (Path(shutil.copytree(sealed, tmp_path / name)) for name in ("run", "other"))
    retrain = ErasurePlan(method="retrain", options={}, mask={}, repair={})
    erased(run, GONE, plan=retrain)
    one_by_one = erased(run, "hospital-2", plan=retrain)
    at_once = erased(other, GONE, "hospital-2", plan=retrain)
    assert one_by_one.erasure.model.read_bytes() == at_once.erasure.model.read_bytes()


@pytest.mark.parametrize("methods", [["fed_accum"], ["retrain"]])
def test_whatever_the_history_keeps_there_is_a_next_erasure(methods: list[str], tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=2, history={"keep": "needed", "methods": methods}))
    own = ErasurePlan(method=methods[0], options={}, mask={}, repair={})
    erased(run, GONE, plan=own)
    # From all deltas the influences were summed up before the deltas went.
    erased(run, "hospital-2", plan=RECOMMENDED if methods == ["fed_accum"] else own)
    with opened_folder(run) as (_, history):
        assert history.base == "0002"
        history.verify()
