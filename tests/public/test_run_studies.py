# SPDX-License-Identifier: MIT
"""What a run shows and measures from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fedlethe
from fedlethe.errors import ConfigError, FedletheError
from tests.public.own import PHANTOM, network


def test_what_is_asked_for_twice_is_refused(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match=r"^sigma 0\.01: is given twice; give each once$"):
        run.sweep(sigmas=[0.01, 0, 0.01])
    for twice in ({"epsilons": [1.0, 1.0]}, {"masks": ["shaped", "shaped"]}, {"sigmas": [0.1, 0.1]}):
        with pytest.raises(ConfigError, match="is given twice"):
            run.frontier(**twice)
    with pytest.raises(ConfigError, match="method retrain: is given twice"):
        fedlethe.compare({"data": PHANTOM}, ["retrain", "pga", "retrain"], out=tmp_path / "out", seeds=[0])
    with pytest.raises(ConfigError, match="method pga: is given twice"):
        fedlethe.train(data=PHANTOM, out=tmp_path / "no", history={"methods": ["pga", "pga"]})


@pytest.fixture
def run(clients: dict[str, Any], tmp_path: Path) -> fedlethe.Run:
    return fedlethe.train(
        network(), clients, out=tmp_path / "run", rounds=2, seed=1, history={"keep": "everything"}, local={"epochs": 2}
    )


def test_a_study_erases_by_the_usual_method_or_by_the_one_that_is_named(run: fedlethe.Run) -> None:
    usual = run.sweep(sigmas=[0])
    assert (usual.method, [one.client for one in usual.points]) == ("influence", ["east", "south", "west"])
    named = run.sweep(sigmas=[0], clients=["east"], method="retrain")
    assert (named.method, [one.client for one in named.points]) == ("retrain", ["east"])
    assert named.points[0].evaluation == run.evaluate(run.erase("east", method="retrain").id).evaluation
    nothing = run.sweep(sigmas=[0], clients=["east"], options={"scale": 0.0})
    assert nothing.points[0].evaluation.clients == nothing.untouched.clients  # the option reached the method
    assert nothing.points[0].evaluation.clients != usual.points[0].evaluation.clients


def test_a_trace_has_a_point_for_each_round_of_one_client(run: fedlethe.Run) -> None:
    found = run.trace("west", "retrain")
    assert (found.method, found.client) == ("retrain", "west")
    assert [one.round for one in found.points] == [0, 1, 2]
    with pytest.raises(FedletheError, match="nobody"):
        run.trace("nobody")


def test_each_set_of_options_of_a_frontier_has_its_name(run: fedlethe.Run) -> None:
    small: dict[str, Any] = {"epsilons": [2.0], "masks": ["isotropic"], "sigmas": [], "draws": 1}
    found = run.frontier(options={"tight": {"clip": 0.1}, "wide": {"clip": 1.0}}, **small)
    assert {one.setting for one in found.points} == {"", "tight", "wide"}  # '' of the model before any
    assert (found.method, found.draws, found.delta) == ("influence", 1, 1e-5)
    assert run.frontier(delta=1e-6, **small).delta == 1e-6


def test_who_left_follows_the_plan(run: fedlethe.Run) -> None:
    found = run.who_left(fedlethe.ErasurePlan(method="influence", options={"clip": 0.5}, repair={"rounds": 0}), draws=2)
    assert (found.clients, found.draws, found.request["method"]["clip"]) == (run.clients, 2, 0.5)
    assert [one.stage for one in found.points] == ["unlearned"]  # with a repair there would be a point more
    assert len(run.who_left(fedlethe.ErasurePlan(repair={"rounds": 1}), draws=1).points) > 1


def test_a_history_is_checked_and_rebuilt_where_that_is_asked_for(run: fedlethe.Run, tmp_path: Path) -> None:
    assert run.history().check is None
    checked = run.history(check=True)
    assert checked.check is not None
    assert (checked.rounds, checked.clients) == (2, ("east", "south", "west"))
    run.history(rebuild=1, out=tmp_path / "round.safetensors")
    by_round = run.evaluate(round=1).evaluation
    assert run.evaluate(model=tmp_path / "round.safetensors").evaluation == by_round != run.evaluate().evaluation
    (run.path / "global_checkpoints/round_0002.safetensors").write_bytes(b"")
    with pytest.raises(FedletheError, match="round_0002"):
        run.history(check=True)


def test_a_report_lies_in_the_run_s_folder(run: fedlethe.Run) -> None:
    made = run.report()
    assert made.page == run.path / "report" / "index.html"
    assert made.pictures == made.page.read_text().count("<img ") > 0
