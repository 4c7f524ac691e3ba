# SPDX-License-Identifier: MIT
"""What a purge condemns, and what it leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from fedlethe.closed_form.featurised import cached_features
from fedlethe.config import resolve
from fedlethe.data.cache import cache_folder
from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.errors import FedletheError
from fedlethe.history import chain
from fedlethe.history.chain import canonical
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import purge_due
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import Guarantee
from tests.learners.test_closed_form import images_of
from tests.requests.acting import (
    EXACT,
    GONE,
    KEY,
    RECOMMENDED,
    carry,
    certified,
    document,
    erased,
    images_of_patients,
    of_table,
    predicate,
    request,
    trained,
    verified,
)
from tests.requests.traces import everything, folder_files, found, kept_of


def _left(run: Path) -> dict[str, Any]:
    """What a purged closed-form run keeps, less what names hashes, times, or how the model before answered."""
    kept: dict[str, Any] = {}
    with opened_folder(run) as (_, history):
        for artefact in history.ledger.artefacts().values():
            name = artefact.path
            if "certificate" in name or name == "run.toml" or "stages" in name or "/images-" in name:
                continue
            content = history.store.content(artefact)
            if name.endswith("erasure.json"):
                record = json.loads(content)
                content = canonical({part: record[part] for part in ("found", "guarantee")}).encode()
            if "fingerprints" not in name:
                kept[name] = content
    return kept


def test_what_stays_of_a_closed_form_run_is_the_same_whatever_the_erased_images_were(tmp_path: Path) -> None:
    """The scores of the penalties, to all digits, once gave the features of the erased patient away."""
    left = []
    for seed in (1, 2):
        run = trained(tmp_path / f"run-{seed}", of_table(images_of_patients(tmp_path / f"images-{seed}", seed)))
        erased(run, "north", patients=["north 3"], plan=EXACT)
        left.append(_left(run))
    assert sorted(left[0]) == sorted(left[1])
    assert "statistics/features.json" in left[0]
    assert [name for name, content in left[0].items() if left[1][name] != content] == []


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sealed") / "run", document())


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


def test_of_a_client_that_took_part_in_no_round_nothing_is_in_the_model(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=5, federation={"rounds": 1, "participation": 0.4}))
    with opened_folder(run) as (_, history):
        idle = next(client for client in history.clients if client not in history.weights(1))
    result = erased(run, idle)
    drawn = "in rounds that were drawn with the erased clients among who could be drawn: a training without them"
    words = f"no update of theirs entered any round, {drawn} draws others"
    assert result.erasure.guarantee == Guarantee("guaranteed", words)


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
        traces = kept_of(opened.history, "south")
        held = opened.images.clients["south"]
        places = [cached_features(part, opened.config.learning.feature_map.key()) for part in (held.train, held.test)]
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


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images_of(tmp_path_factory.mktemp("table") / "images", ("north", "south", "west"), seed=1)


def test_a_retraining_that_was_made_before_the_purge_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing refused it, since it came after the request's own erasure; beside that it would tell the rest."""
    run = trained(tmp_path / "run", document(rounds=1))
    held = ErasurePlan(method="influence", repair={"rounds": 0}, keep_for=1)
    carried = carry(run, request(run, GONE), held)
    with opened_run(run) as opened:
        plan = ErasurePlan(method="retrain", repair={"rounds": 0})
        made = erase(opened, order_erasure(opened, [GONE], plan))
        other = erase(opened, order_erasure(opened, ["hospital-2"], plan))
    assert made.guarantee is not None
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with opened_run(run) as opened:
        purge_due(opened, KEY)
    assert carried.erasure.model.exists()
    assert not made.model.exists()
    assert not other.model.exists()  # it held the client


@pytest.fixture
def began(tmp_path: Path) -> tuple[Path, Path]:
    """A run, and one that began from it, in which a request was carried out and its purge is to wait."""
    run, later = trained(tmp_path / "run", document(rounds=1)), tmp_path / "later"
    first = erased(run, "hospital-2", plan=ErasurePlan(method="retrain", repair={"rounds": 0}))
    train_run(resolve(document(rounds=1)), later, after=first.erasure.model.parent)
    carry(later, request(later, GONE), ErasurePlan(method="influence", repair={"rounds": 0}, keep_for=1))
    return run, later


def _purged(later: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Carry out the purge that is due; what the certificate says was not reached."""
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with opened_run(later) as opened:
        (carried,) = purge_due(opened, KEY).carried
    assert verified(later, certified(carried)).failed == ()
    not_reached: list[str] = predicate(certified(carried))["purge"]["not_reached"]
    return not_reached


def test_so_does_one_that_was_made_in_a_run_that_this_one_began_from(
    began: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, later = began
    with opened_run(run) as opened:
        plan = ErasurePlan(method="retrain", repair={"rounds": 0}, after="0001")
        made = erase(opened, order_erasure(opened, [GONE], plan))
    missed = _purged(later, monkeypatch)
    assert not made.model.exists()
    assert not any("was made without" in words for words in missed)


def test_the_model_that_a_request_of_an_earlier_run_came_to_stays_and_is_named(
    began: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, later = began
    made = erased(run, GONE, plan=ErasurePlan(method="retrain", repair={"rounds": 0})).erasure
    missed = _purged(later, monkeypatch)
    assert made.model.exists()
    assert any(f"the model of erasure {made.id} was made without {GONE}" in words for words in missed)
