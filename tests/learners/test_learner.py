# SPDX-License-Identifier: MIT
"""What holds of both learners: retraining without a client is the reference, and what is erased is in reach."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.learners.learner import Learner
from fedlethe.learners.which import learner_of
from fedlethe.runs.opening import opened_run
from fedlethe.types import START
from fedlethe.unlearning.method import retrains_from
from tests.runs.small import HOSPITALS


@pytest.fixture(params=["network", "closed"])
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_both_do_all_that_is_asked_of_a_learner_and_no_more(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        asked = {name for name in vars(Learner) if not name.startswith("_")}
        assert {name for name in dir(learner) if not name.startswith("_")} == asked


def test_all_clients_and_the_runs_seed_give_the_runs_model(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        assert torch.equal(learner.retrain(run, HOSPITALS, run.config.seed), run.history.final())
        without = learner.retrain(run, HOSPITALS[1:], run.config.seed)
        assert not torch.equal(without, run.history.final())
        assert torch.equal(learner.retrain(run, HOSPITALS[:0:-1], run.config.seed), without)  # in whichever order


def test_the_usual_method_takes_a_client_out_and_moves_the_model(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        method = run.config.method(run.config.usual_method, {})
        unlearned = learner.unlearn(run, HOSPITALS[:1], method, run.history, Meter())
        assert not torch.equal(unlearned.model, run.history.final())
        assert learner.patients_taken(run, method, run.history) == {}
        assert learner.revised(run, method, run.history) == {}


def test_everybody_in_the_model_can_be_erased(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        assert learner.erasable(run.data, run.history) == list(HOSPITALS)
        learner.demand_erasable(run.data, HOSPITALS[:2])
        if learner.by_steps:
            with pytest.raises(FedletheError, match="no client would be left"):
                learner.demand_erasable(run.data, HOSPITALS)


def test_only_a_linear_model_has_coordinates_of_its_features(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        found = learner.standardisation(run)
        if learner.by_steps:
            assert found is None
            return
        assert found is not None
        mean, deviation = found
        assert mean.shape == deviation.shape == (run.data.image_shape[0],)
        assert (deviation > 0).all()


def test_patients_are_options_of_the_method_that_can_take_them_out_itself(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        named = learner.options_for({"hospital-1": ("p2", "p1"), "hospital-0": ("p3",)})
        expected = {"patients": ["p2", "p1", "p3"], "of": ["hospital-1", "hospital-0"]}
        assert named == ({} if learner.by_steps else expected)
        assert learner.options_for({}) == {}


def test_the_method_that_trains_all_again_is_one_of_the_configurations(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        assert retrains_from(run.config.method(learner.retraining, {})) == START


def test_what_the_history_takes_is_in_bytes(path: Path) -> None:
    with opened_run(path) as run:
        learner = learner_of(run.config)
        method = run.config.method(run.config.usual_method, {})
        kept = learner.bytes_kept(run.history, method)
        if learner.by_steps:
            assert kept == 4 * run.layout.size * (2 + len(HOSPITALS))
        else:
            files = [held for held in run.history.ledger.artefacts().values() if held.path.startswith("statistics/")]
            assert kept == sum(held.bytes for held in files)
