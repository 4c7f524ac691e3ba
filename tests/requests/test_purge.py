# SPDX-License-Identifier: MIT
"""After the purge nothing of the erased client is there, and the next erasure works."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fedlethe.closed_form.featurised import cached_features
from fedlethe.config import resolve
from fedlethe.data.cache import cache_folder
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.learners.training import train_run
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId, Guarantee
from tests.learners.test_closed_form import images_of
from tests.requests.acting import RECOMMENDED, carry, document, erased, request, trained
from tests.requests.traces import Needles, data_of, everything, folder_files, found, hashes, kept_of

GONE = "hospital-1"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sealed") / "run", document())


def _traces(run: Path, client: ClientId) -> dict[str, bytes]:
    """What is kept of a client, its models after each round, and its images."""
    with opened_run(run) as opened:
        history = opened.history
        kept = kept_of(history, client)
        if history.rounds > 1:
            for record in history.replay():
                kept[f"model {record.round}"] = record.updates[client].model.numpy().tobytes()
        return kept


def _initial(run: Path) -> Needles:
    with opened_folder(run) as (_, history):
        return Needles({"initial": history.initial().numpy().tobytes()})


def test_the_scanner_finds_64_bytes_and_no_less() -> None:
    content = np.random.default_rng(0).bytes(100_000)
    needles = Needles({"kept": content})
    assert needles.in_(b"x" * 77 + content[31_415 : 31_415 + 64] + b"y" * 9) == "kept"
    assert needles.in_(b"x" * 77 + content[31_415 : 31_415 + 63] + b"y" * 9) is None
    assert needles.in_(b"\0" * 1000) is None
    assert len(hashes(b"short")) == 0


@pytest.mark.parametrize("encrypt", [True, False], ids=["sealed", "plain"])
def test_nothing_of_the_erased_client_is_left(encrypt: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    run = trained(tmp_path / "run", document(hospitals=3, rounds=2, encrypt=encrypt))
    traces, initial = _traces(run, GONE), _initial(run)
    with opened_run(run) as opened:
        images = {f"image {i}": opened.images.clients[GONE].train.images[i].tobytes() for i in
                  opened.images.clients[GONE].train.indices}  # fmt: skip
        keys = [path.read_bytes().strip() for path in opened.history.store.keys.files.files(GONE)]
        assert len(keys) == (1 if encrypt else 0)
        assert len(found(traces, everything(opened.history))) >= 5  # the scanner sees them while they are there
    # Weights that no gradient ever moved are the initial model's, which stays: they tell nothing of anybody.
    traces = {name: kept for name, kept in traces.items() if not name.startswith("model") or initial.in_(kept) is None}
    assert any(name.startswith("model") for name in traces)
    assert found(images, folder_files(tmp_path / "cache"))
    erased(run, GONE, plan=replace(RECOMMENDED, references=3))
    with opened_folder(run) as (_, history):
        assert found(traces, everything(history)) == []
        assert not [path for path in run.rglob("*") if GONE in path.name]
        for key in keys:
            assert not [name for name, content in folder_files(run) if key in content]
        assert history.store.keys.living(GONE) == []
    assert found(images, folder_files(tmp_path / "cache")) == []
    with opened_run(run) as opened:  # nor do they come back when the run is opened again
        assert GONE not in opened.data.clients
    assert found(images, folder_files(tmp_path / "cache")) == []


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
        for client, vector in kept.items():
            torch.testing.assert_close(vector - influence[client], left / 3, atol=1e-6, rtol=0)  # in equal shares


def test_the_rebased_influence_is_the_formula(sealed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    with opened_folder(run) as (_, history):
        before = {client: history.influence(client).double() for client in history.clients}
        weights = [history.weights(round) for round in (1, 2, 3)]
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
    squares = {client: sum(held[client] ** 2 for held in weights) for client in stayed}
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


def test_what_needs_what_is_gone_is_refused_by_its_name(sealed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sealed, tmp_path / "run"))
    erased(run, GONE)
    id = request(run, "hospital-2")
    for method, need in (("fed_accum", "each client's delta in each round"), ("rollback", "the global model of each")):
        with pytest.raises(FedletheError, match=f"{need}.* went with a purge"):
            carry(run, id, ErasurePlan(method=method, options={}, mask={}, repair={}))
    with opened_folder(run) as (_, history):
        with pytest.raises(
            FedletheError, match=r"round_0003\.safetensors: was removed on .* \(purge of request R0001\)"
        ):
            history.global_model(3)
        assert torch.equal(history.global_model(0), history.initial())
    carry(run, id, RECOMMENDED)


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


def test_of_the_rounds_before_the_client_came_the_initial_model_stays(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=5, rounds=6, federation={"rounds": 6, "participation": 0.2}))
    with opened_folder(run) as (_, history):
        came = {
            client: min((r for r in range(1, 7) if client in history.weights(r)), default=7)
            for client in history.clients
        }
        late = max((client for client in came if came[client] <= 6), key=lambda client: came[client])
        assert came[late] >= 3
    erased(run, late)
    with opened_folder(run) as (_, history):
        there = {int(path.stem[-4:]) for path in (run / "global_checkpoints").iterdir()}
        assert there == {0}  # the others' differences to it are the influence of those who took part alone until then


def test_a_client_that_took_part_in_no_round_is_erased_exactly(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=5, federation={"rounds": 1, "participation": 0.4}))
    with opened_folder(run) as (_, history):
        idle = next(client for client in history.clients if client not in history.weights(1))
    result = erased(run, idle)
    assert result.erasure.guarantee == Guarantee("exact", "no update of theirs entered any round")


def test_the_run_that_it_began_from_is_purged_along(sealed: Path, tmp_path: Path) -> None:
    first, second = Path(shutil.copytree(sealed, tmp_path / "first")), tmp_path / "second"
    erased(first, "hospital-3")
    train_run(resolve(document(hospitals=3, rounds=2)), second, after=first / "erasures" / "0001")
    traces: dict[str, bytes] = {}
    for run in (first, second):
        with opened_folder(run) as (_, history):
            traces |= {f"{run.name}: {name}": kept for name, kept in kept_of(history, GONE).items()}
            traces |= {f"{run.name}: key": path.read_bytes().strip() for path in history.store.keys.files.files(GONE)}
            traces |= {f"{run.name}: model": data_of((run / history.final_path()).read_bytes())}
    assert {name.partition(":")[0] for name in traces} == {"first", "second"}
    full = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
    with opened_run(second) as opened:
        expected = opened.history.final() - opened.past().influence(GONE)
    erased(second, GONE, plan=full)
    for run in (first, second):
        assert not verify_ledger(run).failed
        with opened_folder(run) as (_, history):
            assert found(traces, everything(history)) == []
            assert history.store.keys.living(GONE) == []
    # All that the two that stay put into both trainings is in the second run's history now, and is taken out again.
    with opened_run(second) as opened:
        torch.testing.assert_close(opened.history.final(), expected)
        expected = opened.history.final() - opened.past().influence("hospital-2")
    erased(second, "hospital-2", plan=full)
    with opened_run(second) as opened:
        torch.testing.assert_close(opened.history.final(), expected)
        assert list(opened.data.clients) == ["hospital-0"]


# The closed-form federation


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    table = images_of(folder / "images", ("north", "south", "west"), seed=0)
    source = {"source": "table", "path": str(table), "size": 16, "channels": 1}
    exact = {"learner": "closed-form", "features": {"scales": 2}, "closed_form": {"dimension": 48}}
    return trained(folder / "run", {**exact, "data": source})


def test_statistics_and_features_go_and_the_sums_are_made_of_the_others(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    run = Path(shutil.copytree(closed, tmp_path / "run"))
    with opened_run(run) as opened:
        assert opened.config.exact is not None
        traces = kept_of(opened.history, "south")
        held = opened.images.clients["south"]
        places = [cached_features(part, opened.config.exact.feature_map) for part in (held.train, held.test)]
        assert all(place.is_file() for place in places)
        traces |= {place.name: place.read_bytes()[128:] for place in places}
        assert found(traces, everything(opened.history))
    result = erased(run, "south")
    assert result.erasure.guarantee is not None
    assert result.erasure.guarantee.kind == "exact"
    with opened_folder(run) as (_, history):
        assert found(traces, everything(history)) == []
        assert not history.store.holds("statistics/round_0001")  # their sum less the others' is the erased client's
    assert not any(place.exists() for place in places)
    assert found(traces, folder_files(cache_folder())) == []
    again = erased(run, "west")
    assert again.erasure.found["retrain_equivalence_residual"] <= 1e-8


def test_patients_of_a_closed_form_model(closed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed, tmp_path / "run"))
    result = erased(run, "north", patients=["north2", "north3"])
    assert result.request.patients["north"] != ("north2", "north3")
    assert result.erasure.found["rows"] == 3 * 24 - 8
    assert not [name for name, content in folder_files(run) if b"north2" in content]  # a pseudonym stands for it
    with opened_run(run) as opened:
        train = opened.data.clients["north"].train
        assert train.groups is not None
        assert set(train.groups.tolist()) == {"north0", "north1", "north4", "north5"}
        assert not opened.history.store.holds("statistics/north/round_0001")
    with pytest.raises(FedletheError, match="patient 'north2' has no image at north"):
        request(run, "north", patients=["north2"])
    erased(run, "north", patients=["north0"])
    last = erased(run, "south")
    assert last.erasure.found["rows"] == 24 + 24 - 12
    assert last.erasure.found["retrain_equivalence_residual"] <= 1e-8


# A patient in a network


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images_of(tmp_path_factory.mktemp("table") / "images", ("north", "south", "west"), seed=1)


@pytest.fixture(scope="module")
def network(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = {"source": "table", "path": str(table), "size": 16, "channels": 1}
    return trained(tmp_path_factory.mktemp("network") / "run", {**document(rounds=2), "data": source})


def test_a_patient_goes_by_its_hospital_s_part_being_made_again(network: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(network, tmp_path / "run"))
    with opened_folder(run) as (_, history):
        traces = kept_of(history, "north")
        (old,) = history.store.keys.living("north")
    result = erased(run, "north", patients=["north2"])
    assert [stage.name for stage in result.erasure.stages] == ["before", "unlearned", "repaired 1"]
    assert result.erasure.cost.clients == ("north", "south", "west")
    # 24 images at south and west, 20 of north's 24, three eighths of an epoch, rounded up to whole images
    assert result.erasure.cost.examples == 9 + 9 + 8
    with opened_run(run) as opened:
        history = opened.history
        assert found(traces, everything(history)) == []
        (new,) = history.store.keys.living("north")
        assert new != old
        total = history.initial() + sum(history.influence(client) for client in opened.data.clients)
        torch.testing.assert_close(total, history.final(), atol=1e-6, rtol=0)
        assert len(opened.data.clients["north"].train) == 20
    assert not [name for name, content in folder_files(run) if b"north2" in content]
    whole = erased(run, "north")  # the hospital itself can still be erased
    assert whole.erasure.forget == ("north",)
    with opened_run(run) as opened:
        assert list(opened.data.clients) == ["south", "west"]


def test_a_patient_goes_exactly_by_retraining(network: Path, table: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(network, tmp_path / "run"))
    result = erased(
        run, "north", patients=["north2"], plan=ErasurePlan(method="retrain", options={}, mask={}, repair={})
    )
    assert result.erasure.guarantee == Guarantee(
        "exact", "trained from the initial model without the images of 1 patients of north"
    )
    # The same as a training in which the patient never was, in whose table it has no row.
    rows = [line for line in table.read_text().splitlines() if ",north2," not in line]
    other = table.with_name("without.csv")
    other.write_text("\n".join(rows) + "\n")
    source = {"source": "table", "path": str(other), "size": 16, "channels": 1}
    never = trained(tmp_path / "never", {**document(rounds=2), "data": source})
    assert result.erasure.model.read_bytes() == (never / "global_checkpoints/round_0002.safetensors").read_bytes()


def test_the_run_goes_on_when_the_hospital_s_images_are_gone_from_the_data(
    network: Path, table: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(network, tmp_path / "run"))
    erased(run, "north")
    rows = table.read_text().splitlines()
    try:
        table.write_text("\n".join(line for line in rows if ",north," not in line) + "\n")
        result = erased(run, "south")
        assert result.request.state == "completed"
        table.write_text("\n".join(line for line in rows if "west-0-0" not in line and ",north," not in line) + "\n")
        with pytest.raises(FedletheError, match="not those it was trained on"), opened_run(run):
            pass
    finally:
        table.write_text("\n".join(rows) + "\n")
