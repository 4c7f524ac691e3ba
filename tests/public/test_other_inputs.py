# SPDX-License-Identifier: MIT
"""Networks and inputs of other kinds than images and one output a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fedlethe
from fedlethe.errors import ConfigError, DataError


@pytest.fixture
def clients() -> dict[str, Any]:
    held = {}
    for seed, name in enumerate(("east", "south", "west")):
        y = np.arange(40) % 2
        held[name] = (np.random.default_rng(seed).normal(y[:, None], 1.0, (40, 5)).astype(np.float32), y)
    return held


@pytest.mark.parametrize("loss", [None, nn.BCEWithLogitsLoss()], ids=["cross-entropy", "of two classes"])
def test_a_network_with_one_output_for_two_classes(
    clients: dict[str, Any], loss: nn.Module | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    mine = nn.Linear(5, 1)
    run = fedlethe.train(mine, clients, out=tmp_path / "run", rounds=4, seed=1, loss=loss, local={"learning_rate": 0.5})
    assert run.trained is not None
    assert run.trained.evaluation.overall.auc is not None
    assert run.trained.evaluation.overall.auc > 0.9
    found = run.audit(run.erase("south", method="retrain"), references=3)
    assert found.verdict in ("gone", "cannot be shown")  # and no audit stumbled over the one output
    assert run.model()(torch.zeros(3, 5)).shape == (3, 1)
    again = fedlethe.open_run(tmp_path / "run", nn.Linear(5, 1), clients, loss=loss)
    assert again.evaluate().evaluation == run.trained.evaluation
    if loss is not None:
        other = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
        with pytest.raises(ConfigError, match="another loss"):
            fedlethe.open_run(tmp_path / "run", nn.Linear(5, 1), clients, loss=other).erase("south")


class Words(nn.Module):
    """The mean of what stands for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(20, 8), nn.Linear(8, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.head(self.words(tokens).mean(dim=1))
        return answers


def test_whole_numbers_stay_what_they_are_on_the_way_to_the_network(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    held = {}
    for name, kind in (("east", np.int64), ("south", np.int32), ("west", np.uint16)):
        y = np.arange(40) % 2
        held[name] = ((generator.integers(0, 10, (40, 6)) + 10 * y[:, None]).astype(kind), y)
    run = fedlethe.train(
        Words(), held, out=tmp_path / "run", rounds=6, seed=1, local={"learning_rate": 0.5, "epochs": 4}
    )
    assert run.trained is not None
    assert run.trained.evaluation.overall.accuracy > 0.9
    assert run.audit(run.erase("south", method="retrain"), references=3).verdict == "gone"
    run.report()
    with pytest.raises(DataError, match="takes images"):
        fedlethe.train(data=held, out=tmp_path / "closed", learner="closed-form")
    wide = {name: (x.reshape(40, 1, 2, 3), y) for name, (x, y) in held.items()}
    with pytest.raises(DataError, match="takes images"):
        fedlethe.train(data=wide, out=tmp_path / "closed", learner="closed-form")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["script", "trace", "inside"])
def test_torchscript_is_trained_as_the_network_that_it_was_made_of(
    clients: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    mine = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    held = {
        "script": lambda: torch.jit.script(mine),  # type: ignore[no-untyped-call]
        "trace": lambda: torch.jit.trace(mine, torch.zeros(2, 5)),  # type: ignore[no-untyped-call]
        "inside": lambda: nn.Sequential(torch.jit.script(mine[0]), mine[1]),
    }[kind]()
    as_it_is = fedlethe.train(mine, clients, out=tmp_path / "plain", rounds=2, seed=1)
    run = fedlethe.train(held, clients, out=tmp_path / "run", rounds=2, seed=1)
    erasure = run.erase("south", method="retrain")
    for id in (None, erasure.id):
        plain = as_it_is.model() if id is None else as_it_is.model(as_it_is.erase("south", method="retrain").id)
        for name, weight in run.model(id).state_dict().items():
            assert torch.allclose(weight, plain.state_dict()[name], atol=1e-6)
            assert not torch.equal(weight, mine.state_dict()[name])
    assert all(weight.is_leaf for weight in run.model().parameters())  # whoever goes on with it can train it


class Headed(nn.Module):
    """Has a part that takes no part in the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.other = nn.Linear(5, 2), nn.Sequential(nn.Linear(5, 2), nn.Linear(5, 2))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.head(rows)
        return answers


def test_weights_that_stayed_as_they_began_are_named(clients: dict[str, Any], tmp_path: Path) -> None:
    trained = fedlethe.train(Headed(), clients, out=tmp_path / "run", rounds=1, seed=1).trained
    assert trained is not None
    assert trained.unmoved == ("other.0.weight", "other.0.bias", "other.1.weight", "other.1.bias")
    assert trained.warnings[-1].startswith("no gradient reached these weights, and they are as they began: other.0.w")
    assert trained.warnings[-1].endswith("other.1.weight and 1 more; freeze them (requires_grad=False), or use them")
    frozen = Headed()
    frozen.other.requires_grad_(False)
    trained = fedlethe.train(frozen, clients, out=tmp_path / "frozen", rounds=1, seed=1).trained
    assert trained is not None
    assert trained.unmoved == ()


class Routed(nn.Module):
    """Sends each example by one of two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = nn.ModuleList([nn.Linear(5, 2), nn.Linear(5, 2)])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        way = (rows[:, 0] > 0).long()
        answers: torch.Tensor = torch.zeros(len(rows), 2) + 0 * self.ways[0](rows).sum()
        if len(rows) > 4 or not self.training:  # more than are tried
            answers = torch.stack([one(rows) for one in self.ways])[way, torch.arange(len(rows))]
        return answers


def test_weights_that_other_examples_reach_are_not_named(clients: dict[str, Any], tmp_path: Path) -> None:
    trained = fedlethe.train(Routed(), clients, out=tmp_path / "run", rounds=1, seed=1).trained
    assert trained is not None
    assert trained.unmoved == ()
