# SPDX-License-Identifier: MIT
"""How clients and a network were known: a certificate says it as it was in this run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fedlethe
from fedlethe.requests.run_facts import known_again, run_facts
from fedlethe.runs.run_toml import config_of, opened_folder, read_run_document
from tests.requests.acting import PLAIN, document, predicate, trained


class _Shy(nn.Module):
    """A network that cannot be asked a fixed question: it answers otherwise each time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows)
        return outputs + np.random.default_rng().normal() * 1e-2


def _clients() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {
        name: (draw.normal(size=(40, 6)).astype(np.float32) + place, np.arange(40) % 2)
        for place, name in enumerate(("east", "south", "west"))
    }


def _signed(folder: Path, net: nn.Module, **tables: Any) -> dict[str, Any]:
    """What a certificate says of a run on arrays, one of whose clients was erased."""
    run = fedlethe.train(net, _clients(), out=folder / "run", rounds=1, **tables)
    key = fedlethe.new_key(folder / "key")
    asked = run.request(run.clients[0], reason="withdrew", by="the tests")
    carried = run.carry_out(asked.id, key.private, PLAIN)
    assert carried.certificate is not None
    said: dict[str, Any] = predicate(carried.certificate)["run"]
    return said


def test_a_network_that_answered_is_known_by_its_answers_too(tmp_path: Path) -> None:
    said = _signed(tmp_path, nn.Linear(6, 2), loss=nn.CrossEntropyLoss(label_smoothing=0.1))
    assert said["model"].count("and by its answers to a few fixed questions") == 2
    assert "cross-entropy" not in said["model"]
    assert "no answers" not in said["model"]
    assert said["began_from"].startswith("the weights of the network that a Python program handed over")
    assert said["identity"].endswith("as the Python program named them")


def test_of_a_network_that_gave_no_answers_none_are_told(tmp_path: Path) -> None:
    said = _signed(tmp_path, _Shy())
    assert "and by its answers" not in said["model"]
    assert "alone: it gave no answers to fixed questions; the loss is cross-entropy" in said["model"]


def test_clients_whom_the_seed_made_are_not_those_that_the_program_named(tmp_path: Path) -> None:
    said = _signed(tmp_path, nn.Linear(6, 2), partition={"scheme": "iid", "clients": 4})
    assert said["data"]["clients"] == [f"client-{number}" for number in range(4)]
    assert "as the Python program named them" not in said["identity"]
    assert said["identity"].endswith("which the division's seed divided among them (iid)")


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        ({}, "by the sites that the source names; where there are none, which the division's seed divided among them"),
        ({"scheme": "site"}, "by the sites that the source names"),
        ({"scheme": "dirichlet", "clients": 2}, "which the division's seed divided among them (dirichlet)"),
    ],
)
def test_a_named_source_s_clients_are_told_by_the_scheme(partition: dict[str, Any], words: str, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=3, rounds=1, partition=partition))
    with opened_folder(run) as (_, history):
        facts = run_facts(config_of(run), read_run_document(run)["run"], history)
    assert facts["identity"].endswith(f"one machine, {words}")


def test_where_no_source_was_found_it_says_so() -> None:
    said = known_again({"network": "0c7e", "network_answers": "", "network_source": "not found", "loss": ""})
    assert "by its name, since Python found no source of it, or not of all of it, alone: it gave no answers" in said
    assert "by its source" not in said
