# SPDX-License-Identifier: MIT
"""After the purge nothing of the erased client is there, and the next erasure works."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.history.request_log import BEGUN
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import carry_out, purge_due
from fedlethe.requests.request import listed
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run_toml import opened_folder
from fedlethe.types import ClientId
from tests.requests.acting import (
    GONE,
    KEY,
    PLAIN,
    RECOMMENDED,
    carry,
    carry_out_alone,
    certified,
    document,
    erased,
    kill_at,
    later,
    request,
    told,
    trained,
    verified,
)
from tests.requests.traces import Needles, data_of, everything, folder_files, found, hashes, kept_of

TOLD = "fedlethe.requests.purge._finish"
"""Where a purge is when the ledger was told of it, and nothing was removed yet."""
HELD = replace(RECOMMENDED, keep_for=1)


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


def test_the_same_command_again_after_a_kill_in_the_purge(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(small, GONE)
    with monkeypatch.context() as patch, opened_run(small) as opened:
        patch.setattr("fedlethe.requests.carry_out.demand_as_certified", lambda *_: None)
        patch.setattr("fedlethe.requests.purge.reach", _killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(opened, id, PLAIN, KEY)
    carry_out_alone(small, id, PLAIN)
    assert listed(small).requests[0].state == "completed"
    assert not verify_ledger(small).failed


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("held", [False, True], ids=["in erase", "in purge"])
@pytest.mark.parametrize("resumed_by", ["erase", "purge"])
def test_a_purge_that_was_cut_off_is_not_done_and_both_commands_finish_it(
    run: Path, held: bool, resumed_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(run, GONE)
    if held:
        carry(run, asked, HELD)
    if held:
        later(monkeypatch)
        kill_at(TOLD, run, lambda opened: purge_due(opened, KEY))
    else:
        kill_at(TOLD, run, lambda opened: carry_out(opened, asked, RECOMMENDED, KEY))
    (one,) = listed(run).requests
    assert one.purge == BEGUN
    assert "its purge was cut off" in told(run)
    assert list(run.glob(f"keys/{GONE}.*.key"))  # which is why it must not be called done
    with opened_run(run) as opened:
        if resumed_by == "purge":
            (carried,) = purge_due(opened, KEY).carried
        else:
            carried = carry_out(opened, asked, None, KEY)
    assert (carried.request.state, carried.request.purge) == ("completed", "done")
    assert not list(run.glob(f"keys/{GONE}.*.key"))
    assert certified(carried).name == "certificate.json"
    assert verify_ledger(run).failed == ()
    assert verified(run, certified(carried)).failed == ()
