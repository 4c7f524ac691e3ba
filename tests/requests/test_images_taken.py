# SPDX-License-Identifier: MIT
"""Whose images go, whole hospitals and single patients, and that they do not come back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fedlethe
from fedlethe.cli.output.show import tables
from fedlethe.config import resolve
from fedlethe.data.cache import cache_folder
from fedlethe.data.holdings import holdings
from fedlethe.data.phantom import Phantom
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.history.sent_statistics import statistics_of
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import Carried
from fedlethe.requests.images_taken import OF_PROGRAM
from fedlethe.requests.signing import unchecked
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import Guarantee
from tests.learners.test_closed_form import images_of
from tests.requests.acting import (
    PLAIN,
    certified,
    document,
    erased,
    images_of_patients,
    of_table,
    predicate,
    request,
    trained,
)
from tests.requests.traces import everything, folder_files, found, kept_of


def test_a_training_that_leaves_somebody_out_leaves_none_of_its_images_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    table = images_of_patients(tmp_path / "images", 1)
    network = {"learner": "averaging", "federation": {"rounds": 1}, "local": {"epochs": 1}}
    config = {**{k: v for k, v in of_table(table).items() if k not in ("learner", "closed_form", "features")}}
    config |= {name: value for name, value in network.items() if name != "learner"}
    third = {**config, "partition": {"allow_one_class": True}}
    first = trained(tmp_path / "first", third)
    with opened_run(first) as opened:
        images = opened.images
        theirs = {images.clients["north"].train.images[row].tobytes() for row in images.clients["north"].train.indices}
    erased(first, "north", plan=PLAIN)
    assert not _cached(theirs)
    train_run(resolve(third), tmp_path / "second", after=first / "erasures/0001")
    assert not _cached(theirs)
    with opened_run(tmp_path / "second"):
        assert not _cached(theirs)
    table.write_text("\n".join(line for line in table.read_text().splitlines() if ",north," not in line) + "\n")
    with opened_run(tmp_path / "second") as opened:  # the images can leave the data, too
        assert list(opened.data.clients) == ["south"]


def _cached(images: set[bytes]) -> int:
    """How many of these images the cache holds."""
    assert cache_folder().is_dir()
    found = 0
    for held in holdings():
        if held.path.suffix == ".npy" and held.kind == "images":
            rows = np.load(held.path, allow_pickle=False)
            found += sum(row.tobytes() in images for row in rows)
    return found


def test_what_is_left_of_a_patient_s_hospital_is_made_of_its_images(tmp_path: Path) -> None:
    """A difference of two sums is no training from scratch: a record once said 0.0e+00 where it was 9e-8."""
    table = images_of_patients(tmp_path / "images", 1)
    run = trained(tmp_path / "run", of_table(table))
    with opened_run(run) as opened:
        erase(
            opened, order_for(opened.config, (), ErasurePlan(method="closed-form", options={"patients": ["north 3"]}))
        )
        left = statistics_of(opened.history, "north", "erasures/0001/statistics/north").content()
    table.write_text("\n".join(line for line in table.read_text().splitlines() if ",north 3," not in line) + "\n")
    with opened_folder(trained(tmp_path / "anew", of_table(table))) as (_, history):
        assert statistics_of(history, "north").content() == left


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    table = images_of(folder / "images", ("north", "south", "west"), seed=0)
    source = {"source": "table", "path": str(table), "size": 16, "channels": 1}
    exact = {"learner": "closed-form", "features": {"scales": 2}, "closed_form": {"dimension": 48}}
    return trained(folder / "run", {**exact, "data": source})


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
        "exact", "trained from the initial model without the images of 1 patient of north"
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


def test_the_same_pixels_at_another_hospital_stay_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    table = images_of(tmp_path / "images", ("north", "south", "west"), seed=0)
    folder, lines = table.parent, table.read_text().splitlines()
    shutil.copy(folder / "north-0-0.png", folder / "copy.png")
    table.write_text("\n".join([*lines, "copy.png,no,south,south0,train"]) + "\n")
    run = trained(tmp_path / "run", of_table(table))
    carried = erased(run, "north", plan=ErasurePlan())
    assert carried.request.purge == "done"
    content = json.loads(unchecked(certified(carried).read_bytes(), certified(carried)))
    words = "images of south: 1 have the same pixels as images that were erased, and stay"
    assert words in content["predicate"]["purge"]["not_reached"]


NAMES = ("east", "north", "south")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _handed_over(run: Path, data: dict[str, Any], **tables: Any) -> fedlethe.Run:
    return fedlethe.train(data=data, out=run, learner="closed-form", closed_form={"dimension": 8}, **tables)


def _erase_north(run: fedlethe.Run, key: Path) -> Carried:
    asked = run.request("north", reason="withdrew", by="the tests")
    return run.carry_out(asked.id, fedlethe.new_key(key).private)


def _content(cache: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(cache.rglob("*.npy")))


def test_what_sources_that_were_handed_over_left_in_the_cache_goes(cache: Path, tmp_path: Path) -> None:
    data = {name: Phantom(size=16, hospitals=1, images_per_hospital=24, seed=seed) for seed, name in enumerate(NAMES)}
    run = _handed_over(tmp_path / "run", data)
    theirs = np.array(data["north"].load().images)
    assert theirs.tobytes() in _content(cache)
    carried = _erase_north(run, tmp_path / "key")
    assert all(image.tobytes() not in _content(cache) for image in theirs)
    assert OF_PROGRAM in carried.not_reached
    assert any(OF_PROGRAM in line for line in tables(carried) if isinstance(line, str))
    assert OF_PROGRAM in predicate(certified(carried))["purge"]["not_reached"]


def test_features_of_arrays_that_were_handed_over_go(cache: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    data = {name: (draw.integers(0, 255, (24, 16, 16)).astype(np.uint8), np.arange(24) % 2) for name in NAMES}
    run = _handed_over(tmp_path / "run", data)
    assert list((cache / "features").glob("*.npy"))
    _erase_north(run, tmp_path / "key")
    assert not list((cache / "features").glob("*.npy"))
