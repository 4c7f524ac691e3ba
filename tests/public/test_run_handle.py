# SPDX-License-Identifier: MIT
"""A run from Python: its models, what is erased from them and what was found of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import fedlethe
from fedlethe.errors import ConfigError, FedletheError
from tests.public.own import network, weights


def test_an_audit_of_an_erasure_is_kept(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    erasure = run.erase("west", plan=fedlethe.ErasurePlan(method="retrain"))
    found = run.audit(erasure, references=3)
    assert found == run.audit("0001", references=3)
    with pytest.raises(FedletheError, match=r"references 0: the audits take 3 retrainings at least$"):
        run.audit(erasure, references=0)  # which would hand back what an earlier audit found
    assert found.references == 3
    with pytest.raises(FedletheError, match="take 3 retrainings at least"):
        run.audit(erasure, references=2)


def test_what_a_run_cannot_do_is_said_before_anything_is_done(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(FedletheError, match=r"nosuch: there is no such file.*there is none"):
        run.evaluate(model="nosuch")
    assert run.evaluate(model=str(run.path / "global_checkpoints/round_0001.safetensors")).evaluation
    with pytest.raises(FedletheError, match=r"^\S+: is a folder; model takes a checkpoint file"):
        run.evaluate(model=run.path)
    with pytest.raises(ConfigError, match="plan: an ErasurePlan is wanted"):
        run.erase("east", plan={"method": "retrain"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sigmas: a list is wanted, not '0,1'"):
        run.sweep("0,1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="path: a path is wanted, not None"):
        fedlethe.open_run(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nonsense"):
        run.frontier(nonsense=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="rounds: a whole number is wanted, not '3'"):
        fedlethe.train(network(), clients, out=tmp_path / "other", rounds="3")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="join: is of learner 'closed-form'"):
        run.erase(join=["east"], after="0001")
    asked = run.request("east", reason="withdrew its consent", by="the officer")
    key = fedlethe.new_key(tmp_path / "key")
    for wrong in ({"why": "enough"}, {"why": "enough", "by": 3}, {"why": "a", "by": "b", "when": "c"}, "why"):
        with pytest.raises(ConfigError, match=r"^accepted.*(must say who and why|a text is wanted|a table is wanted)"):
            run.carry_out(asked.id, key.private, accepted=wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"^lost.*(must say who and why|a text is wanted|a table is wanted)"):
            run.purge(key.private, lost=wrong)  # type: ignore[arg-type]
    assert run.requests().requests[0].state == "opened"
    with pytest.raises(FedletheError, match="keep_for 99999999: must be 0 to 36500 days"):
        run.carry_out(asked.id, key.private, plan=fedlethe.ErasurePlan(keep_for=99999999))


def test_a_plan_and_fields_beside_it_are_refused(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match="says how already; leave after out"):
        run.erase("west", plan=fedlethe.ErasurePlan(), after="0001")
    with pytest.raises(ConfigError, match="nobody is named"):
        run.erase()
    with pytest.raises(FedletheError, match="did you mean 'method'"):
        run.erase("west", metod="retrain")


def test_an_option_of_a_method_is_not_lost_among_the_fields_of_a_plan(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    with pytest.raises(ConfigError, match=r"no option 'scale'.*goes into options, as \{'scale': 0\.5\}$"):
        run.erase("east", scale=1.0)
    with pytest.raises(ConfigError, match=r"no option 'metod'; did you mean 'method'"):
        run.erase("east", metod="retrain")
    with pytest.raises(ConfigError, match=r"'decoys': a whole number is wanted, not 'x'$"):
        run.erase("east", decoys="x")


def test_a_run_s_models_are_handed_out_as_networks_of_the_caller_s_own(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1, seed=1)
    erasure = run.erase("west", method="retrain")
    trained, erased = run.model(), run.model(erasure.id)
    assert not trained.training
    assert weights(trained) != weights(erased)
    held = load_file(tmp_path / "run" / "erasures" / erasure.id / "model.safetensors")
    assert all(torch.equal(held[name], weight) for name, weight in erased.state_dict().items())
    with torch.no_grad():
        for weight in trained.parameters():
            weight.fill_(5)
    assert weights(run.model()) != weights(trained)
    with pytest.raises(FedletheError, match="0009"):
        run.model("0009")


def test_the_model_that_is_named_is_the_one_that_is_evaluated(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=2, seed=1, local={"epochs": 2})
    erasure = run.erase("west", method="retrain")
    assert run.evaluate().evaluation == run.evaluate(round=2).evaluation
    by_id, by_file = (run.evaluate(erasure.id), run.evaluate(model=run.path / "erasures/0001/model.safetensors"))
    assert by_id.evaluation.clients == by_file.evaluation.clients != run.evaluate().evaluation.clients
    counts = {split: run.evaluate(split=split).evaluation.overall.num_examples for split in ("test", "train")}
    held = fedlethe.inspect_data(clients).counts
    assert counts == {split: sum(sum(mix.values()) for mix in held[split].values()) for split in counts}
    for wrong in ({"round": 1, "erasure": "0001"}, {"round": 9}, {"split": "tset"}):
        with pytest.raises(FedletheError, match=r"give one of them|no round 9|did you mean 'test'"):
            run.evaluate(**wrong)


def test_who_was_erased_stays_among_the_clients(clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    erasure = run.erase("west", "east", method="retrain")
    assert erasure.forget == ("east", "west")
    assert run.clients == ("east", "south", "west")
    assert [one.id for one in run.erasures()] == [erasure.id]
