# SPDX-License-Identifier: MIT
"""What a program hands over itself: known again, divided, and refused where a run knows it by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import fedlethe
from fedlethe.errors import ConfigError
from fedlethe.public.handed_over import aggregator_parts, handed_over, table_of_part, tables_of_parts
from tests.public.own import arrays, network


def test_parts_that_a_run_knows_by_name_are_not_handed_over(clients: dict[str, Any], tmp_path: Path) -> None:
    data = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 30}
    fedlethe.train(data=data, out=tmp_path / "run", learner="closed-form", features={"scales": 2})
    with pytest.raises(ConfigError, match=r"^data: the run knows it by its name, 'phantom'; leave it out"):
        fedlethe.open_run(tmp_path / "run", data=clients).erase("hospital-1")
    with pytest.raises(ConfigError, match=r"^model: the run knows it by its name"):
        fedlethe.open_run(tmp_path / "run", model=network()).erase("hospital-1")


def test_a_partition_of_the_configuration_divides_what_was_handed_over(clients: dict[str, Any], tmp_path: Path) -> None:
    config = {"partition": {"scheme": "iid", "clients": 4}}
    run = fedlethe.train(network(), clients, out=tmp_path / "run", rounds=1, config=config)
    assert run.clients == ("client-0", "client-1", "client-2", "client-3")


class _Squared(nn.Module):
    """A network whose structure prints as that of `_Plain`, and whose code does not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows) ** 2
        return outputs


class _Plain(nn.Module):
    """See `_Squared`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows)
        return outputs


class _Scaled(_Plain):
    """One whose setting is a plain number."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(rows) * self.scale
        return outputs


def _margin(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.multi_margin_loss(outputs, labels)


def _smoothed(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, labels, label_smoothing=0.1)


def test_what_was_not_handed_over_again_or_is_another_is_not_trained_with(
    clients: dict[str, Any], tmp_path: Path
) -> None:
    """A retraining on another loss, or through another network of the same weights, is no retraining."""
    fedlethe.train(_Plain(), clients, out=tmp_path / "run", rounds=1, loss=_margin)
    smoothed = fedlethe.train(
        _Scaled(1.0), clients, out=tmp_path / "settings", rounds=1, loss=nn.CrossEntropyLoss(label_smoothing=0.1)
    )
    assert smoothed.erase("east").id == "0001"
    wrong: tuple[tuple[nn.Module, Any, str], ...] = (  # settings that neither the code nor what it prints shows
        (_Scaled(1.0), nn.CrossEntropyLoss(label_smoothing=0.6), "another loss"),
        (_Scaled(1.0), nn.CrossEntropyLoss(torch.tensor([1.0, 5.0]), label_smoothing=0.1), "another loss"),
        (_Scaled(9.0), nn.CrossEntropyLoss(label_smoothing=0.1), "another network"),
    )
    for model, loss, match in wrong:
        with pytest.raises(ConfigError, match=match):
            fedlethe.open_run(tmp_path / "settings", model, clients, loss).erase("west", method="retrain")
    for model, loss, match in (
        (_Plain(), None, "was trained with a loss; hand it over: loss="),
        (_Plain(), _smoothed, "was trained with another loss"),
        (_Squared(), _margin, "was trained with another network"),
    ):
        with pytest.raises(ConfigError, match=match):
            fedlethe.open_run(tmp_path / "run", model, clients, loss).erase("west", method="retrain")
    erasure = fedlethe.open_run(tmp_path / "run", _Plain(), clients, _margin).erase("west", method="retrain")
    assert erasure.guarantee is not None


class _Frozen(nn.Module):
    """A network whose own `train` returns nothing, with a module that is random by numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def train(self, mode: bool = True) -> Any:
        super().train(mode)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(rows)
        return outputs + np.random.default_rng().normal() * 1e-3 if self.training else outputs


class _Counting:
    """A loss that works in place and has a state."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        outputs /= 2.0
        return nn.functional.cross_entropy(outputs, labels) * (1 + self.asked)


def test_odd_networks_and_losses_are_trained_and_known_again(clients: dict[str, Any], tmp_path: Path) -> None:
    loss = _Counting()
    run = fedlethe.train(_Frozen(), clients, out=tmp_path / "run", rounds=1, loss=loss)
    assert loss.asked == 0  # it stays the caller's
    assert run.erase("west", method="retrain").guarantee is not None
    again = fedlethe.open_run(tmp_path / "run", _Frozen(), clients, _Counting())
    assert again.erase("east", method="retrain").guarantee is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": {"norm": "group"}}, r"^model: 'name' is missing; say which one, as in \{'name': 'resnet18'\}$"),
        ({"aggregator": {"trim": 0.1}}, "^aggregator: 'name' is missing; say which one"),
        (
            {"data": {"flag": "pneumoniamnist"}},
            "^data: 'source' is missing; say which one.*or give each client",
        ),
    ],
)
def test_a_table_of_options_without_a_name_says_what_is_missing(given: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        fedlethe.train(**given, out=tmp_path / "run")


def test_what_has_a_name_becomes_a_table_and_the_rest_is_given() -> None:
    mine = network()
    assert tables_of_parts("resnet18", "phantom", 3, 0) == {
        "seed": 0,
        "model": {"name": "resnet18"},
        "data": {"source": "phantom"},
        "federation": {"rounds": 3},
    }
    given = tables_of_parts(mine, {"east": arrays(0)}, None, None)
    assert given == {"model": {"name": "given"}, "data": {"source": "given"}}
    assert tables_of_parts(None, None, None, None) == {}
    options = {"name": "resnet18", "norm": "group"}
    assert table_of_part("model", options) == options
    assert handed_over("model", options) is None
    assert handed_over("model", mine) is mine


def test_a_client_s_data_that_are_a_text_are_no_data_but_a_table_without_its_name() -> None:
    with pytest.raises(ConfigError, match=r"^data: 'source' is missing"):
        table_of_part("data", {"east": "north.npz"})
    assert table_of_part("data", {"east": arrays(0)}) is None


def test_an_aggregator_is_named_where_its_name_leads_back_to_it() -> None:
    median = fedlethe.AGGREGATORS["median"]()
    assert aggregator_parts(None) == ({}, None)
    assert aggregator_parts("median") == ({"aggregator": {"name": "median"}}, None)
    assert aggregator_parts(median) == ({"aggregator": {"name": "median"}}, None)
    table, own = aggregator_parts(of_no_path := _local())
    assert table == {"aggregator": {"name": "given", "is_mean": False}}
    assert own is of_no_path


def _local() -> Any:
    """Of a class that no path leads back to."""

    @dataclass(frozen=True)
    class Before:
        paper: ClassVar[str] = "a test"
        is_mean: ClassVar[bool] = False

        def aggregate(self, before: Any, models: Any, weights: Any) -> Any:
            return before.clone()

    return Before()
