# SPDX-License-Identifier: MIT
"""An aggregator that is handed over from Python: named where its import path leads back to it, else known again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import fedlethe
from fedlethe.document import read_toml
from fedlethe.errors import ConfigError, HistoryError
from fedlethe.federation.aggregator import aggregator_name
from fedlethe.federation.given_aggregator import GivenAggregator, table_of
from fedlethe.federation.median import Median
from fedlethe.federation.weighted_mean import WEIGHTED_MEAN
from fedlethe.types import Vector
from tests.requests.acting import predicate


@dataclass(frozen=True, kw_only=True)
class Between:
    """Between the least and the greatest; importable."""

    paper: ClassVar[str] = "a test"
    is_mean: ClassVar[bool] = False

    share: float = 0.5
    names: tuple[str, ...] = ()

    def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
        stacked = torch.stack(list(models.values()))
        return stacked.amin(dim=0).lerp(stacked.amax(dim=0), self.share)


@dataclass(frozen=True, kw_only=True)
class Holding(Between):
    """Holds what no file can."""

    step: Callable[[Vector], Vector] = torch.clone


THREE = ("a", "b", "c")


def local(share: float = 0.5) -> Any:
    """Of a class that no path leads back to."""

    @dataclass(frozen=True, kw_only=True)
    class Local:
        paper: ClassVar[str] = "a test"
        is_mean: ClassVar[bool] = False

        share: float

        def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
            return Between(share=self.share).aggregate(before, models, weights)

    return Local(share=share)


def test_what_an_import_path_leads_back_to_has_a_table() -> None:
    assert table_of(Median()) == {"name": "median"}
    assert table_of(WEIGHTED_MEAN) == {"name": "mean"}
    assert table_of(Between(share=0.25)) == {"name": f"{__name__}:Between", "share": 0.25, "names": []}
    assert table_of(local()) is None
    assert table_of(Holding()) is None


def test_one_that_lacks_something_is_named_with_the_mend() -> None:
    odd: Any = dataclass(frozen=True)(type("Odd", (Between,), {"is_mean": 1}))
    with pytest.raises(ConfigError) as raised:
        GivenAggregator.of(odd())
    assert str(raised.value).startswith("aggregator Odd: its 'is_mean' is neither True nor False; write: is_mean: Cla")


def test_one_of_a_class_of_the_program_itself_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Between, "__module__", "__main__")
    assert table_of(Between()) is None


def test_it_is_known_by_its_code_and_its_options() -> None:
    given = GivenAggregator.of(local(0.5))
    given.demand(GivenAggregator.of(local(0.5)).facts(THREE), THREE, "RUN")
    assert aggregator_name(given).endswith("Local")
    with pytest.raises(ConfigError, match=r"^RUN: was trained with another aggregator; hand over the one"):
        given.demand(GivenAggregator.of(local(0.25)).facts(THREE), THREE, "RUN")
    nothing = GivenAggregator(is_mean=False)
    nothing.demand(given.facts(THREE), THREE, "RUN")  # a run that is only read
    assert nothing.facts(THREE) == {}
    with pytest.raises(ConfigError, match=r"^the run's aggregator was handed over from Python"):
        nothing.aggregate(torch.zeros(1), {}, {})


def combine(models: Vector) -> Vector:
    return models.median(dim=0).values


def half_of_the_mean(models: Vector) -> Vector:
    return models.mean(dim=0) * 0.5


def fails(models: Vector) -> Vector:
    raise ValueError("never")


def calling() -> Any:
    """Of a class that calls a function: what it makes is in no source of its own."""

    @dataclass(frozen=True, kw_only=True)
    class Calling:
        paper: ClassVar[str] = "a test"
        is_mean: ClassVar[bool] = False

        def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
            return combine(torch.stack(list(models.values())))

    return Calling()


@pytest.mark.parametrize("other", [half_of_the_mean, fails])
def test_it_is_known_by_its_answers_too(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = GivenAggregator.of(calling()).facts(THREE)
    assert set(known) == {"aggregator", "aggregator_answers"}
    GivenAggregator.of(calling()).demand(known, THREE, "RUN")
    monkeypatch.setitem(globals(), "combine", other)
    now = GivenAggregator.of(calling())
    assert now.facts(THREE)["aggregator"] == known["aggregator"]
    with pytest.raises(ConfigError, match=r"^RUN: was trained with another aggregator"):
        now.demand(known, THREE, "RUN")


def test_one_that_gives_no_answers_or_has_no_source_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr("inspect.getsource", none)
    monkeypatch.setitem(globals(), "combine", fails)
    known = GivenAggregator.of(calling()).facts(THREE)
    assert (known["aggregator_answers"], known["aggregator_source"]) == ("", "not found")


def test_it_is_asked_about_the_clients_of_its_run() -> None:
    given = GivenAggregator.of(trusting({"a": 0.5, "b": 0.5}))
    assert given.facts(("b", "a"))["aggregator_answers"]
    assert given.facts(("c",))["aggregator_answers"] == ""


def trusting(trust: dict[str, float]) -> Any:
    """Weighs clients by what is thought of them."""

    @dataclass(frozen=True, kw_only=True)
    class Trusting:
        paper: ClassVar[str] = "a test"
        is_mean: ClassVar[bool] = False

        trust: dict[str, float]

        def aggregate(self, before: Vector, models: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
            return torch.stack([self.trust[client] * model for client, model in models.items()]).sum(dim=0)

    return Trusting(trust=trust)


def test_a_run_is_not_used_with_one_that_answers_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(tmp_path / "run", calling())
    erasure = run.erase("west")
    monkeypatch.setitem(globals(), "combine", half_of_the_mean)
    line = "was trained with another aggregator"
    with pytest.raises(ConfigError, match=line):
        fedlethe.open_run(run.path, network(), clients(), aggregator=calling()).erase("east")
    with pytest.raises(ConfigError, match=line):
        train(tmp_path / "on", calling(), after=erasure.model.parent)
    assert not (tmp_path / "on").exists()


def test_what_the_program_does_with_its_own_changes_no_training() -> None:
    @dataclass(frozen=True)
    class Listed(Between):
        kept: list[float] = field(default_factory=lambda: [1.0])

    own = Listed()
    given = GivenAggregator.of(own)
    own.kept.append(2.0)
    assert given.aggregator is not None
    assert given.aggregator.kept == [1.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Between, r"aggregator: the class Between was given; give an instance, Between\(\)"),
        (3, "aggregator int: is no frozen dataclass; write @dataclass"),
        ("medan", "no aggregator 'medan'; did you mean 'median'"),
        ({"name": "median", "share": 1}, "aggregator 'median': no option 'share'"),
    ],
)
def test_what_is_no_aggregator_is_told(wrong: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        fedlethe.train(data={"source": "phantom"}, out=tmp_path / "run", aggregator=wrong)
    assert not (tmp_path / "run").exists()


def clients() -> dict[str, Any]:
    found = {}
    for seed, name in enumerate(("east", "north", "south", "west")):
        generator, y = np.random.default_rng(seed), np.arange(24) % 2
        found[name] = (generator.normal(y[:, None] * (seed + 1), 1.0, (24, 5)).astype(np.float32), y)
    return found


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 2)


def train(out: Path, aggregator: Any, data: Any = None, **further: Any) -> fedlethe.Run:
    return fedlethe.train(network(), data or clients(), out=out, rounds=2, aggregator=aggregator, **further)


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in net.state_dict().values()])


def test_a_run_has_it_from_training_to_the_certificate(tmp_path: Path) -> None:
    run = train(tmp_path / "run", local(0.3))
    document = read_toml(run.path / "run.toml")
    assert document["aggregator"] == {"name": "given", "is_mean": False}
    assert len(document["run"]["given"]["aggregator"]) == 64
    without = {name: held for name, held in clients().items() if name != "west"}
    opened = fedlethe.open_run(run.path, network(), clients(), aggregator=local(0.3))
    erasure = opened.erase("west")
    assert (erasure.method, str(erasure.guarantee)[:6]) == ("retrain", "exact:")
    anew = train(tmp_path / "anew", local(0.3), without)
    assert torch.equal(weights(opened.model(erasure.id)), weights(anew.model()))
    named = train(tmp_path / "named", Between(share=0.3))
    assert read_toml(named.path / "run.toml")["aggregator"]["name"] == f"{__name__}:Between"
    assert torch.equal(weights(named.model()), weights(run.model()))
    key = tmp_path / "key"
    fedlethe.new_key(key)
    carried = opened.carry_out(opened.request("north", reason="left", by="a test").id, key)
    assert carried.certificate is not None
    said = predicate(carried.certificate)["run"]["aggregator"]
    assert said.startswith("handed over by a Python program; known again by how it prints")
    assert said.endswith("and by its answers to a few fixed questions; not by all that it can do")
    assert fedlethe.verify(carried.certificate, tmp_path / "key.pub", run.path).failed == ()


def test_a_run_is_read_without_it_and_not_used_with_another(tmp_path: Path) -> None:
    run = train(tmp_path / "run", local(0.3))
    bare = fedlethe.open_run(run.path, network(), clients())
    assert bare.requests().requests == ()
    bare.report()
    with pytest.raises(ConfigError, match=r"^the run's aggregator was handed over from Python"):
        bare.erase("west")
    other = fedlethe.open_run(run.path, network(), clients(), aggregator=local(0.4))
    with pytest.raises(ConfigError, match="was trained with another aggregator"):
        other.erase("west")
    with pytest.raises(ConfigError, match="was trained with another aggregator"):
        train(run.path, local(0.4))
    with pytest.raises(HistoryError, match=r"holds another run: its aggregator\.is_mean is False, not unset"):
        train(run.path, "median")
    mean = train(tmp_path / "mean", None)
    with pytest.raises(ConfigError, match="aggregator: the run knows it by its name, 'mean'; leave it out"):
        fedlethe.open_run(mean.path, network(), clients(), aggregator=local()).erase("west")
