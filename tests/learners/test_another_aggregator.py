# SPDX-License-Identifier: MIT
"""A run whose rounds are made by the median, from its training to the purge: nothing of it rests on the mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fedlethe
from fedlethe.config import resolve
from fedlethe.errors import ConfigError, FedletheError, HistoryError
from fedlethe.history.disk import RunFolder
from fedlethe.learners.averaging import AveragingLearner
from fedlethe.learners.training import train_run
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import aggregation
from fedlethe.types import Need, Vector
from tests.requests.acting import GONE, OTHER, document, erased, predicate, results, trained, verified

MEDIAN: dict[str, Any] = {"aggregator": {"name": "median"}, "history": {"methods": ["rollback"]}}
GOES = ("retrain", "rollback", "fine_tune", "puf", "fed_quit", "fed_osd", "not_")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("median") / "run", document(rounds=2, **MEDIAN))


def final(run: Path, erasure: str | None = None) -> Vector:
    with opened_run(run) as opened:
        return opened.history.final() if erasure is None else opened.history.erased_model(erasure)


@pytest.mark.parametrize("method", [None, "rollback"])
def test_erased_is_trained_without_the_client_bit_for_bit(method: str | None, run: Path, tmp_path: Path) -> None:
    held = fedlethe.open_run(run)
    erasure = held.erase(GONE) if method is None else held.erase(GONE, method=method)
    assert erasure.method == (method or "retrain")  # where nothing is said it is the way that is possible
    assert erasure.guarantee is not None
    assert erasure.guarantee.kind == "exact"
    without = {**document(rounds=2, **MEDIAN), "partition": {"leave_out": [GONE]}}
    assert torch.equal(final(run, erasure.id), final(trained(tmp_path / "anew", without)))


def test_the_rounds_are_the_median_s_and_a_default_run_names_none(run: Path, tmp_path: Path) -> None:
    assert '[aggregator]\nname = "median"\n' in (run / "run.toml").read_text()
    mean = trained(tmp_path / "mean", document(rounds=2))
    assert "aggregator" not in (mean / "run.toml").read_text()
    assert not torch.equal(final(run), final(mean))


def test_another_aggregator_is_another_run(run: Path) -> None:
    with pytest.raises(HistoryError, match=r"holds another run: its aggregator\.name is median, not unset"):
        trained(run, document(rounds=2, history={"methods": ["rollback"]}))


@pytest.mark.parametrize("method", sorted(set(fedlethe.METHODS) - set(GOES)))
def test_methods_that_rest_on_the_mean_are_refused_and_those_that_do_not_are_named(
    method: str, run: Path, tmp_path: Path
) -> None:
    line = rf"method '{method}' needs .*, which tells what a client put into the model only where that is the "
    line += rf"weighted mean, and the aggregator is 'median'; take one of {', '.join(GOES)}$"
    with pytest.raises(ConfigError, match=f"^{line}"):
        fedlethe.open_run(run).erase(GONE, method=method)
    with pytest.raises(ConfigError, match=rf"^configuration: \[history\]: {line}"):
        trained(tmp_path / "new", document(**{**MEDIAN, "history": {"methods": ["rollback", method]}}))
    assert not (tmp_path / "new").exists()


def test_a_method_that_the_run_kept_nothing_for_is_not_named_in_another_s_place(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=1, **{**MEDIAN, "history": {"methods": ["retrain"]}}))
    with pytest.raises(ConfigError, match=r"take one of (?!.*rollback).*retrain"):
        fedlethe.open_run(run).erase(GONE, method="influence")
    with pytest.raises(FedletheError, match="train it again and name the method that needs it, or keep everything"):
        fedlethe.open_run(run).erase(GONE, method="rollback")


@pytest.mark.parametrize("method", GOES[3:])
def test_the_others_take_a_client_out_of_it(method: str, run: Path) -> None:
    erasure = fedlethe.open_run(run).erase(OTHER, method=method, repair={"rounds": 1})
    assert erasure.guarantee is None
    assert [stage.name for stage in erasure.stages] == ["before", "unlearned", "repaired 1"]


def test_nothing_is_kept_of_a_client_that_would_tell_nothing(tmp_path: Path) -> None:
    everything = trained(tmp_path / "run", document(rounds=2, aggregator={"name": "median"}))
    with opened_run(everything) as opened:
        assert opened.history.keep == {Need.INITIAL, Need.GLOBALS}
        assert not [one for one in opened.history.ledger.artefacts().values() if one.client is not None]
    check = fedlethe.open_run(everything).history(check=True).check
    assert check is not None
    assert (check.rounds_rebuilt, check.influence_residual) == (None, None)
    with pytest.raises(HistoryError, match="cannot be made again from deltas, since its aggregator is 'median'"):
        fedlethe.open_run(everything).history(rebuild=1, out=tmp_path / "model")
    with pytest.raises(ConfigError, match="its rounds cannot be made again from the clients' deltas"):
        fedlethe.open_run(everything).trace(GONE, method="retrain")


def test_a_request_is_carried_out_purged_and_certified(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(rounds=2, **MEDIAN))
    before = final(run)
    carried = erased(run, GONE)
    assert carried.certificate is not None
    said = predicate(carried.certificate)
    assert said["run"]["aggregator"] == "median"
    assert said["claim"]["kind"] == "exact"
    assert "initial model" in str(said["purge"])
    assert "influence" not in str(said["purge"])  # there are none to keep
    assert set(results(verified(run, carried.certificate)).values()) <= {"ok", "not checked"}
    assert not torch.equal(final(run), before)
    again = erased(run, OTHER)  # from what the purge left
    assert again.erasure is not None
    assert again.erasure.method == "retrain"
    without = {**document(rounds=2, **MEDIAN), "partition": {"leave_out": [GONE, OTHER]}}
    assert torch.equal(final(run), final(trained(tmp_path / "anew", without)))
    with pytest.raises(FedletheError, match="the global model of each round went with a purge; erase by retraining"):
        fedlethe.open_run(run).erase("hospital-0", method="rollback")


def test_who_only_trained_in_an_erasure_is_in_its_model(tmp_path: Path) -> None:
    """What they added is not kept; that they trained is on record, and they are not said to be in no round."""
    tables = {**MEDIAN, "federation": {"rounds": 1, "participation": 0.25}}
    run = trained(tmp_path / "run", document(rounds=1, **tables))
    with opened_run(run) as opened:
        (alone,) = opened.history.participants(1)
        other = next(client for client in opened.history.clients if client != alone)
    held = fedlethe.open_run(run)
    assert held.erase(alone, method="fine_tune").guarantee is None
    erasure = held.erase(other, method="fine_tune", after="0001")
    assert erasure.guarantee is None
    assert erasure.cost.examples > 0
    untouched = held.erase(other, method="fine_tune")  # of the trained model it is true
    assert untouched.guarantee is not None
    assert untouched.guarantee.kind == "guaranteed"


def test_a_training_goes_on_by_the_aggregator_that_it_began_with(run: Path, tmp_path: Path) -> None:
    """A retraining goes through the rounds of both runs: with two aggregators it would be none, and be called exact."""
    held = fedlethe.open_run(run)
    erasure = held.erase(GONE, method="retrain", repair={"rounds": 1})
    after = erasure.model.parent
    line = "its rounds were made by the aggregator 'median', and these are to be made by the aggregator 'mean'"
    with pytest.raises(HistoryError, match=line):
        train_run(resolve(document(rounds=1)), tmp_path / "mean", after=after)
    assert not (tmp_path / "mean").exists()
    train_run(resolve(document(rounds=1, **MEDIAN)), tmp_path / "on", after=after)
    later = fedlethe.open_run(tmp_path / "on").erase(OTHER)
    assert later.guarantee is not None
    assert later.method == "retrain"


def test_studies_take_the_method_that_is_possible(run: Path) -> None:
    held = fedlethe.open_run(run)
    assert held.sweep(sigmas=[0.0, 0.01], draws=1, clients=[GONE]).method == "retrain"
    with pytest.raises(ConfigError, match="its candidates cannot be computed"):
        held.frontier()
    assert "<dt>Aggregator</dt>" in held.report().page.read_text()


def test_a_reference_is_trained_by_the_same_aggregator(run: Path) -> None:
    with opened_run(run) as opened:
        clients = [client for client in opened.history.clients if client != GONE]
        median = AveragingLearner().retrain(opened, clients, seed=5)
        again = AveragingLearner().retrain(opened, clients, seed=5)
        assert torch.equal(median, again)
    mean = {**document(rounds=2, **MEDIAN), "aggregator": {"name": "mean"}}
    with opened_run(trained(run.parent / "mean", mean)) as opened:
        assert not torch.equal(AveragingLearner().retrain(opened, clients, seed=5), median)


def test_a_mistake_of_its_author_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "robust_of_a_test.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    wrong = document(aggregator={"name": "robust_of_a_test:Short"}, history={})
    with pytest.raises(ConfigError, match=r"^aggregator 'robust_of_a_test:Short': gives shape \(3,\)"):
        trained(tmp_path / "run", wrong)
    assert not (tmp_path / "run").exists()


BROKEN = """
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Short:
    paper: ClassVar[str] = "a test"
    is_mean: ClassVar[bool] = False

    def aggregate(self, before, models, weights):
        return before[:3]
"""


def test_one_that_draws_by_chance_is_refused_since_it_has_no_retraining(tmp_path: Path, monkeypatch: Any) -> None:
    drawing = "from torch import rand\n" + BROKEN.replace("before[:3]", "before + rand(1)")
    (tmp_path / "chance_of_a_test.py").write_text(drawing)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="Short': makes another model of the same models the next time"):
        trained(tmp_path / "run", document(aggregator={"name": "chance_of_a_test:Short"}, history={}))
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_goes_on_with_its_own(tmp_path: Path) -> None:
    whole = resolve(document(rounds=2, **MEDIAN))
    train_run(whole, tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedlethe.history.disk.RunFolder.append", _fails_after(1))
        with pytest.raises(KeyboardInterrupt):
            train_run(whole, tmp_path / "cut")
    train_run(whole, tmp_path / "cut")
    assert torch.equal(final(tmp_path / "cut"), final(tmp_path / "whole"))


def _fails_after(rounds: int) -> Any:
    append = RunFolder.append

    def failing(self: RunFolder, record: Any, *rest: Any) -> None:
        if record.round > rounds:
            raise KeyboardInterrupt
        append(self, record, *rest)

    return failing


NORMED = """
from dataclasses import dataclass
from typing import ClassVar

import torch


@dataclass(frozen=True, kw_only=True)
class Normed:
    paper: ClassVar[str] = "each step by its length, and all of them by theirs"
    is_mean: ClassVar[bool] = False

    def aggregate(self, before, models, weights):
        steps = [(model - before) / torch.linalg.vector_norm(model - before) for model in models.values()]
        step = torch.stack(steps).mean(dim=0)
        return before + 0.1 * step / torch.linalg.vector_norm(step)
"""


def test_one_that_divides_by_lengths_is_tried_on_models_that_have_some(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "normed_of_a_test.py").write_text(NORMED)
    monkeypatch.syspath_prepend(tmp_path)
    trained(tmp_path / "run", document(aggregator={"name": "normed_of_a_test:Normed"}, history={}))
    assert (tmp_path / "run" / "global_checkpoints").is_dir()


def test_two_that_were_handed_over_are_told_apart_in_words() -> None:
    given = {"aggregator": {"name": "given", "is_mean": False}}
    one, other = (aggregation({**given, "run": {"given": {"aggregator": code}}}) for code in ("a", "b"))
    assert one != other
    assert one[0] == "an aggregator that was handed over from Python"
