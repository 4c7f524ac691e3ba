# SPDX-License-Identifier: MIT
"""What an aggregator's author gets wrong ends in one line that names it and says what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch

from fedlethe.config.parts import aggregator_of
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.federation.aggregate import add_contributions, aggregate
from fedlethe.federation.aggregator import AGGREGATORS, OutsideAggregator, aggregated, undeclared_aggregator
from fedlethe.federation.train import train
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.types import Vector
from fedlethe.vector import VARIANCE_FLOOR, Layout
from tests.fakes import linear_federation

Step = Callable[[Vector, Mapping[str, Vector]], Any]

LAYOUT = Layout({"norm.running_var": (1,), "weight": (1,)})
BEFORE = torch.tensor([2.0, 0.0])
MODELS = {"a": torch.tensor([1.0, 1.0]), "b": torch.tensor([3.0, -1.0])}
WEIGHTS = {"a": 0.25, "b": 0.75}


@dataclass(frozen=True, kw_only=True)
class Stepping:
    """Whatever is asked for."""

    paper: ClassVar[str] = "a test"
    is_mean: ClassVar[bool] = False

    step: Step

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Any:
        return self.step(before, models)


@dataclass(frozen=True, kw_only=True)
class SaysMean(Stepping):
    """And says that it is the mean."""

    is_mean: ClassVar[bool] = True


def _divides(before: Vector, models: Mapping[str, Vector]) -> Any:
    return 1 / 0


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (_divides, r"fails \(ZeroDivisionError: division by zero, test_aggregator.py line \d+\); correct it, or"),
        (lambda before, models: [1.0, 2.0], r"gives a list; return a float32 tensor \(2,\)"),
        (lambda before, models: torch.zeros(3), r"gives shape \(3,\), torch.float32, on cpu; return a float32 tensor"),
        (lambda before, models: before.double(), r"gives shape \(2,\), torch.float64"),
        (lambda before, models: before * torch.nan, "gives NaN or infinite values; look at what it divides by"),
        (lambda before, models: models["b"].add_(1), r"writes to models\['b'\], which is not its own; clone\(\) it"),
        (lambda before, models: before.mul_(2), "writes to before, which is not its own"),
        (lambda before, models: models["a"].numpy().fill(0), r"writes to models\['a'\], which is not its own"),
    ],
)
def test_a_mistake_ends_in_one_line_with_its_name(step: Step, words: str) -> None:
    before, models = BEFORE.clone(), {client: model.clone() for client, model in MODELS.items()}
    with pytest.raises(ConfigError, match=f"^aggregator '{__name__}:Stepping': {words}") as told:
        aggregated(Stepping(step=step), LAYOUT, before, models, WEIGHTS)
    assert "\n" not in str(told.value)


def test_its_own_error_is_told_as_it_is() -> None:
    def step(before: Vector, models: Mapping[str, Vector]) -> Any:
        raise FedletheError("Krum needs 5 clients")

    with pytest.raises(FedletheError, match=r"^Krum needs 5 clients$"):
        aggregated(Stepping(step=step), LAYOUT, BEFORE, MODELS, WEIGHTS)


def test_one_that_says_mean_and_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="SaysMean': says that it is the weighted mean, and gives another model"):
        aggregated(SaysMean(step=lambda before, models: models["a"]), LAYOUT, BEFORE, MODELS, WEIGHTS)
    true = SaysMean(step=lambda before, models: aggregate(before, models, WEIGHTS))
    assert torch.equal(aggregated(true, LAYOUT, BEFORE, MODELS, WEIGHTS), aggregate(BEFORE, MODELS, WEIGHTS))


def test_variances_stay_above_0_and_no_client_s_model_is_written_to() -> None:
    models = {"a": torch.tensor([-1.0, 5.0])}
    made = aggregated(Stepping(step=lambda before, models: models["a"]), LAYOUT, BEFORE, models, {"a": 1.0})
    assert made.tolist() == pytest.approx([2.0 * VARIANCE_FLOOR, 5.0])
    assert models["a"].tolist() == [-1.0, 5.0]


def test_without_a_model_nobody_is_asked() -> None:
    assert torch.equal(aggregated(Stepping(step=_divides), LAYOUT, BEFORE, {}, {}), BEFORE)


def test_rounds_go_through_it_and_tell_nothing_of_who_added_what() -> None:
    greatest = Stepping(step=lambda before, models: torch.stack(list(models.values())).amax(dim=0))
    federation = replace(linear_federation(), aggregator=greatest)
    (record,) = train(federation, torch.zeros(3), [(1, ("a", "b", "c"))])
    assert record.after.tolist() == [4.0, 4.0, 4.0]
    sums: dict[str, Vector] = {}
    add_contributions(sums, record, greatest.is_mean)
    assert sums == {}
    add_contributions(sums, record, WEIGHTED_MEAN.is_mean)
    assert set(sums) == {"a", "b", "c"}


def test_what_a_class_lacks() -> None:
    assert undeclared_aggregator(Stepping) is None
    assert "is no frozen dataclass" in (undeclared_aggregator(dict) or "")
    for name, words in (("paper", "has no 'paper'; write: paper: ClassVar"), ("is_mean", "has no 'is_mean'; write: ")):
        parts = {**{key: value for key, value in vars(Stepping).items() if not key.startswith("__")}}
        del parts[name]
        bare: Any = dataclass(frozen=True, kw_only=True)(type("Bare", (), parts))
        assert words in (undeclared_aggregator(bare) or "")
    odd: Any = dataclass(frozen=True)(type("Odd", (), {"paper": "a", "is_mean": "no", "aggregate": print}))
    assert "its 'is_mean' is neither True nor False" in (undeclared_aggregator(odd) or "")


def test_names_are_looked_up_and_options_checked() -> None:
    assert list(AGGREGATORS)[:2] == ["mean", "median"]
    assert aggregator_of("mean", {}) == WEIGHTED_MEAN
    with pytest.raises(ConfigError, match="no aggregator 'medan'; did you mean 'median'"):
        aggregator_of("medan", {})
    with pytest.raises(ConfigError, match="aggregator 'median': no option 'share'; it takes none"):
        aggregator_of("median", {"share": 0.1})
    with pytest.raises(ConfigError, match=f"aggregator '{__name__}:linear_federation': is no frozen dataclass"):
        aggregator_of(f"{__name__}:linear_federation", {})


def test_a_run_that_is_read_has_it_on_record_whether_it_is_the_mean() -> None:
    read = aggregator_of("no_such_lab:Mine", {}, {"aggregator": {"is_mean": False}})
    assert isinstance(read, OutsideAggregator)
    assert not read.is_mean
    with pytest.raises(ConfigError, match="there is no module 'no_such_lab'"):
        read.aggregate(BEFORE, MODELS, WEIGHTS)
