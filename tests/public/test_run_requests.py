# SPDX-License-Identifier: MIT
"""Requests from Python: the whole way, and what no plan brings into the ledger."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fedlethe
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.requests.signing import unchecked
from tests.public.own import arrays, network, not_reached


def _carried(clients: dict[str, Any], folder: Path) -> tuple[fedlethe.Run, Path, Path]:
    """A run whose client 'east' was erased by request; the certificate, and the public key."""
    run = fedlethe.train(network(), clients, out=folder / "run", rounds=1)
    key = fedlethe.new_key(folder / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    carried = run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain"))
    assert carried.certificate is not None
    return run, carried.certificate, key.public


def test_the_whole_way_of_a_request(clients: dict[str, Any], tmp_path: Path) -> None:
    run, certificate, public = _carried(clients, tmp_path)
    assert fedlethe.verify(certificate, public, run.path).failed == ()
    assert fedlethe.verify(run.path).failed == run.verify().failed == ()
    assert [one.purge for one in run.requests().requests] == ["done"]
    assert json.loads((run.path / "erasures/0001/erasure.json").read_text())["method"] == "retrain"
    with pytest.raises(ConfigError, match="name the public key"):
        fedlethe.verify(certificate)


def test_a_purge_names_the_program_that_holds_the_data(clients: dict[str, Any], tmp_path: Path) -> None:
    _, certificate, _ = _carried(clients, tmp_path)
    assert any("the Python program that handed the data over" in words for words in not_reached(certificate))


@pytest.mark.parametrize(
    "wrong", [{"after": 3}, {"decoys": True}, {"keep_for": True}, {"keep_for": 1.5}, {"references": "3"}, {"method": 3}]
)
def test_a_plan_of_other_types_enters_no_ledger(wrong: Any, clients: dict[str, Any], tmp_path: Path) -> None:
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1)
    key = fedlethe.new_key(tmp_path / "key")
    asked = run.request("east", reason="withdrew", by="the tests")
    made = partial(fedlethe.ErasurePlan, **{"method": "retrain", **wrong})
    for act in (lambda: run.carry_out(asked.id, key.private, made()), lambda: run.erase("west", plan=made())):
        with pytest.raises(FedletheError, match=next(iter(wrong))):
            act()
    assert run.carry_out(asked.id, key.private, fedlethe.ErasurePlan(method="retrain")).request.purge == "done"
    assert run.verify().failed == ()


@pytest.mark.parametrize("leaves", ["south", "north"])
def test_who_left_one_run_is_purged_from_the_one_before_it_with_the_data_at_hand(
    leaves: str, clients: dict[str, Any], tmp_path: Path
) -> None:
    """The run before has data of the same program: they are known again there, or named as what is not reached."""
    key = fedlethe.new_key(tmp_path / "key")
    retrain = fedlethe.ErasurePlan(method="retrain")
    first = fedlethe.train(network(), clients, out=tmp_path / "first", rounds=1)
    asked = first.request("east", reason="withdrew", by="the tests")
    assert first.carry_out(asked.id, key.private, retrain).request.purge == "done"
    after = first.path / "erasures" / "0001"
    data = clients if leaves == "south" else {**clients, "north": arrays(7)}
    second = fedlethe.train(network(), data, out=tmp_path / "second", rounds=1, after=after)
    asked = second.request(leaves, reason="withdrew", by="the tests")
    carried = second.carry_out(asked.id, key.private, retrain)
    assert carried.request.purge == "done"
    assert second.verify().failed == first.verify().failed == ()
    assert carried.certificate is not None
    assert any("the Python program that handed the data over" in words for words in not_reached(carried.certificate))


def test_the_certificate_says_how_a_network_was_known_again(clients: dict[str, Any], tmp_path: Path) -> None:
    _, certificate, _ = _carried(clients, tmp_path)
    said = json.loads(unchecked(certificate.read_bytes(), certificate))["predicate"]["run"]["model"]
    assert "not by all that they can do" in said
