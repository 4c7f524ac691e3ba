# SPDX-License-Identifier: MIT
"""Parts by name: fedlethe's own at once; those from outside at once in a new configuration, later in a run's."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest
from torch import nn

from fedlethe.config import resolve
from fedlethe.config.parts import code_digest, demand_code, is_code, map_of, model_of, needs_of, source_of
from fedlethe.errors import ConfigError, FedletheError
from fedlethe.models import OutsideModel, initialise
from fedlethe.models.small_cnn import SmallCnn
from fedlethe.types import Need
from fedlethe.unlearning import Unlearned

HERE = __name__
GONE = "no_such_lab.parts:Thing"


def net(num_classes: int, width: int = 2) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.Linear(width, num_classes))


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model as ours are."""

    width: int = 2

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes * self.width, 1)


def no_net() -> int:
    return 3


@dataclass(frozen=True, kw_only=True)
class Map:
    """A feature map."""

    size: int = 3

    def key(self) -> str:
        return f"map {self.size}"

    def prepare(self, shape: tuple[int, int, int]) -> Any:
        return lambda images: images.flatten(1)[:, : self.size]


@dataclass(frozen=True, kw_only=True)
class Forget:
    """A method."""

    paper: ClassVar[str] = "a test"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DELTAS, Need.RETAINED_DATA})

    share: float = 0.5

    def unlearn(self, forget: Any, history: Any, federation: Any) -> Unlearned:
        return Unlearned(model=history.final().clone())


def test_our_own_are_the_dataclasses_themselves() -> None:
    assert model_of("small-cnn", {"norm": "batch"}) == SmallCnn(norm="batch")
    with pytest.raises(FedletheError, match="no model 'small-cn'; did you mean 'small-cnn'"):
        model_of("small-cn", {})


def test_a_model_from_outside_is_built_with_its_options() -> None:
    model = model_of(f"{HERE}:Built", {"width": 4})
    network = initialise(model, 3, 2, seed=0)
    assert isinstance(network, nn.Conv2d)
    assert (network.in_channels, network.out_channels) == (3, 8)
    called = model_of(f"{HERE}:net", {"width": 5}).build(1, 7)
    assert isinstance(called, nn.Sequential)
    assert isinstance(called[2], nn.Linear)
    assert called[2].out_features == 7  # in_channels is not among its names
    with pytest.raises(FedletheError, match=f"model '{HERE}:no_net': gives an int; return a torch.nn.Module"):
        model_of(f"{HERE}:no_net", {}).build(1, 2)


@pytest.mark.parametrize("of", [model_of, source_of, map_of])
def test_what_is_missing_is_told_at_once_or_when_it_is_used(of: Any) -> None:
    for name in (GONE, "gone"):
        with pytest.raises(FedletheError):
            of(name, {})
        later = of(name, {"any": 1}, later=True)
        with pytest.raises(FedletheError, match=f"'{name}': (there is no module 'no_such_lab'|no installed package)"):
            _ = later.outside.kind


def test_a_feature_map_from_outside_names_its_code_in_its_key() -> None:
    features = map_of(f"{HERE}:Map", {"size": 2})
    name, code, options, key = features.key().split(", ")
    assert (name, len(code), key) == (f"{HERE}:Map", 64, "map 2")
    assert options != map_of(f"{HERE}:Map", {"size": 3}).key().split(", ")[2]
    import torch

    assert features.prepare((1, 2, 2))(torch.ones(5, 1, 2, 2)).shape == (5, 2)


DOCUMENT = {
    "model": {"name": f"{HERE}:Built", "width": 3},
    "history": {"methods": ["influence", f"{HERE}:Forget"]},
    "method": {f"{HERE}:Forget": {"share": 0.25}},
}


def test_a_configuration_says_which_code_it_uses_and_what_that_needs() -> None:
    config = resolve(DOCUMENT)
    assert config.document()["model"] == {"name": f"{HERE}:Built", "width": 3}
    assert config.method(f"{HERE}:Forget", {}) == Forget(share=0.25)
    assert config.recipe(f"{HERE}:Forget").method == f"{HERE}:Forget"
    assert config.keep == {Need.INITIAL, Need.INFLUENCE, Need.DELTAS}
    code = config.outside()
    assert set(code) == {"model", f"method {HERE}:Forget"}
    assert {one["path"] for one in code.values()} == {__file__}
    assert code[f"method {HERE}:Forget"]["needs"] == ["DELTAS", "RETAINED_DATA"]
    assert resolve({}).outside() == {}


def test_a_run_is_read_without_the_code_that_it_was_trained_with() -> None:
    recorded = {
        "model": {"name": GONE, "path": "/x", "sha256": "0"},
        f"method {GONE}": {"name": GONE, "path": "/x", "sha256": "0", "needs": ["NORMS"]},
    }
    document = {"model": {"name": GONE, "width": 3}, "history": {"methods": [GONE]}, "method": {GONE: {"share": 1}}}
    config = resolve(document, "run.toml", recorded)
    assert isinstance(config.model, OutsideModel)
    assert config.keep == {Need.INITIAL, Need.NORMS}
    assert config.document()["model"] == {"name": GONE, "width": 3}
    with pytest.raises(FedletheError, match=rf"^RUN: model '{GONE}': there is no module 'no_such_lab'"):
        config.demand_code("RUN")
    with pytest.raises(FedletheError, match="no_such_lab"):
        resolve(document)


def test_changed_code_is_refused_by_what_it_is() -> None:
    code = resolve(DOCUMENT).outside()
    demand_code(code, code, "RUN")
    for what, words in (("model", "RUN: its model"), (f"method {HERE}:Forget", "RUN: its method")):
        with pytest.raises(FedletheError, match=f"^{words} '{HERE}:.* is not the file that it was trained with"):
            demand_code(code, {what: {**code[what], "sha256": "0"}}, "RUN")


def test_the_digest_is_of_the_training_and_of_the_method() -> None:
    code = resolve(DOCUMENT).outside()
    sha = code["model"]["sha256"]
    assert code_digest({}, ["influence", "closed-form"]) == ""
    assert code_digest({"model": code["model"]}, [f"{HERE}:Forget"]) == f", method {HERE}:Forget {sha}, model {sha}"


def test_needs_are_those_on_record_or_the_classes() -> None:
    assert needs_of("influence", {}) == {Need.INITIAL, Need.INFLUENCE}
    assert needs_of("gone", {"method gone": {"needs": ["NORMS"]}}) == {Need.NORMS}


@pytest.mark.parametrize(
    ("recorded", "good"),
    [
        ({}, True),
        ({"model": {"name": "a", "path": "b", "sha256": "c"}}, True),
        ({"model": {"name": "a", "path": "b"}}, False),
        ({"model": {"name": "a", "path": "b", "sha256": 3}}, False),
        ({"method a": {"name": "a", "path": "b", "sha256": "c", "needs": ["NORM"]}}, False),
        ({"model": "a"}, False),
        ("a", False),
    ],
)
def test_a_table_that_no_training_wrote_is_told(recorded: Any, good: bool) -> None:
    assert is_code(recorded) is good


def test_a_weights_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    """What a run's references begin from is built from the file: another one under its name is not taken."""
    weights = tmp_path / "imagenet.safetensors"
    weights.write_bytes(b"these")
    document = {"model": {"name": "resnet18", "weights": str(weights)}}
    recorded = resolve(document).outside()
    assert recorded["model file weights"]["sha256"] == sha256(b"these").hexdigest()
    held = resolve(document, recorded=recorded)
    held.demand_code("RUN")
    weights.write_bytes(b"those")
    with pytest.raises(
        ConfigError,
        match=r"^RUN: its model file weights 'imagenet\.safetensors': .*imagenet\.safetensors is not the file",
    ):
        held.demand_code("RUN")
    weights.unlink()
    with pytest.raises(ConfigError, match=r"^RUN: its model file weights, .*imagenet\.safetensors, is not there; put"):
        held.demand_code("RUN")
