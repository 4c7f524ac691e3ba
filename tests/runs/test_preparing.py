# SPDX-License-Identifier: MIT
"""From a configuration to what can be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import fedlethe
from fedlethe.config import resolve
from fedlethe.data.erased import ErasedImages
from fedlethe.errors import ConfigError
from fedlethe.runs.beginning import Beginning
from fedlethe.runs.preparing import aggregation, divided, load_data, prepare, run_document
from fedlethe.vector import to_vector
from tests.runs.small import CLOSED, HOSPITALS, NETWORK

BACKDOOR = {**NETWORK, "backdoor": {"client": "hospital-1", "target": 0}}


def test_one_seed_makes_one_network_and_one_division() -> None:
    one, other = prepare(resolve(NETWORK)), prepare(resolve(NETWORK))
    assert one.fingerprint == other.fingerprint == one.images.fingerprint
    assert torch.equal(to_vector(one.network, one.layout), to_vector(other.network, other.layout))
    another = prepare(resolve({**NETWORK, "seed": 1}))
    assert not torch.equal(to_vector(one.network, one.layout), to_vector(another.network, another.layout))


def test_in_closed_form_the_network_takes_features() -> None:
    prepared = prepare(resolve(CLOSED))
    assert prepared.data.image_shape[1:] == (1, 1)
    assert prepared.layout.shapes["weight"] == (len(prepared.data.classes), prepared.data.image_shape[0])


def test_a_backdoor_is_planted_unless_its_client_was_erased() -> None:
    config = resolve(BACKDOOR)
    plain = divided(config)
    assert load_data(config).fingerprint != plain.fingerprint
    gone = ErasedImages(array=None, rows=(), clients=("hospital-1",))
    assert "hospital-1" in load_data(config, (gone,)).clients  # it is taken out later, and the backdoor with it


def test_who_must_not_be_there_is_not_there_though_the_fingerprint_is_of_all() -> None:
    gone = ErasedImages(array=None, rows=(), clients=(HOSPITALS[1],))
    prepared = prepare(resolve(NETWORK), (gone,))
    assert list(prepared.data.clients) == [HOSPITALS[0], HOSPITALS[2]]
    assert prepared.fingerprint == prepare(resolve(NETWORK)).fingerprint


def test_run_toml_says_what_was_found() -> None:
    prepared = prepare(resolve(NETWORK))
    facts = run_document(prepared, Beginning())["run"]
    assert facts["clients"] == list(HOSPITALS)
    assert facts["data_fingerprint"] == prepared.fingerprint
    assert set(facts) == {"version", "data_fingerprint", "clients"}
    assert run_document(prepared, Beginning(after="../r/erasures/0001"))["run"]["after"] == "../r/erasures/0001"


def test_how_rounds_are_made_is_told_by_name_options_and_code() -> None:
    assert aggregation({"run": {}}) == ("the aggregator 'mean'", "", "")
    outside = {"aggregator": {"sha256": "abc"}}
    table = {"name": "mylab.robust:Mine", "trim": 2}
    assert aggregation({"aggregator": table, "run": {"outside": outside}}) == (
        "the aggregator 'mylab.robust:Mine' with trim = 2",
        "abc",
        "",
    )
    given = {"aggregator": {"name": "given", "is_mean": False}, "run": {"given": {"aggregator": "d"}}}
    assert aggregation(given)[1:] == ("", "d")


def test_a_head_takes_vectors_and_features_and_no_images(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model 'head': takes rows of numbers, and not images; name a feature map"):
        prepare(resolve({**NETWORK, "model": {"name": "head"}}))
    assert prepare(resolve({**NETWORK, "model": {"hidden": 8}, "features": {"scales": 2}})).config.model_name == "head"
    rows = {name: (np.random.default_rng(0).random((12, 6), np.float32), np.arange(12) % 2) for name in ("a", "b")}
    assert fedlethe.train("head", rows, out=tmp_path / "run", rounds=1).trained is not None
