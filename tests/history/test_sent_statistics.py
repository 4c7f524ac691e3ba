# SPDX-License-Identifier: MIT
"""The one round of a closed-form federation, in the run folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fedlethe.closed_form.by_class import ByClass
from fedlethe.errors import FedletheError
from fedlethe.history.disk import RunFolder
from fedlethe.history.entries import removals
from fedlethe.history.sent_statistics import (
    SUMS,
    append_statistics,
    kept_features,
    statistics_of,
    statistics_sums,
)
from fedlethe.types import Need
from tests.fakes import LAYOUT


def sums(rows: int, seed: int) -> ByClass:
    features = np.random.default_rng(seed).standard_normal((rows, 2)).astype(np.float32)
    return ByClass.of(features, np.arange(rows) % 2, 2)


PARTS = {"b": sums(6, 0), "a": sums(2, 1)}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    held = RunFolder(tmp_path, ("a", "b"), frozenset({Need.INITIAL}), create=True)
    held.begin(torch.zeros(LAYOUT.size), LAYOUT)
    yield held
    held.close()


@pytest.fixture
def recorded(folder: RunFolder) -> RunFolder:
    model = torch.arange(LAYOUT.size, dtype=torch.float32)
    append_statistics(folder, model, PARTS, PARTS["a"] + PARTS["b"], '{"map": "x"}', '{"l": 1}', 2.5, "null")
    return folder


def same(one: ByClass, other: ByClass) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("rows", "sums", "gram"))


def test_what_was_sent_comes_back_bit_for_bit(recorded: RunFolder) -> None:
    for client, part in PARTS.items():
        assert same(statistics_of(recorded, client), part)
    whole = statistics_sums(recorded)
    assert whole is not None
    assert same(whole, PARTS["a"] + PARTS["b"])
    assert kept_features(recorded) == b'{"map": "x"}'
    recorded.verify()


def test_it_is_one_round_in_which_everybody_counts_by_its_rows(recorded: RunFolder) -> None:
    assert recorded.rounds == 1
    assert recorded.weights(1) == {"a": 0.25, "b": 0.75}
    assert recorded.final().tolist() == list(range(LAYOUT.size))
    assert recorded.ledger.seconds()[0] == 2.5


def test_what_a_client_sent_is_sealed_with_its_key_and_the_sums_are_nobody_s(recorded: RunFolder) -> None:
    held = [one for one in recorded.ledger.artefacts().values() if one.kind == "statistics"]
    assert {one.client: one.path.endswith(".sealed") for one in held} == {"a": True, "b": True, None: False}
    readable = {one.client: b"gram" in (recorded.path / one.path).read_bytes() for one in held if "round" in one.path}
    assert readable == {"a": False, "b": False, None: True}


def test_a_later_version_of_what_a_client_sent_is_read_by_its_name(recorded: RunFolder) -> None:
    later = recorded.store.write("erasure", "erasures/0001/a", "a", [PARTS["b"].content()])
    recorded.ledger.add_artefacts([later])
    assert same(statistics_of(recorded, "a", "erasures/0001/a"), PARTS["b"])
    assert same(statistics_of(recorded, "a"), PARTS["a"])


def test_sums_that_are_not_kept_any_more_are_none(recorded: RunFolder) -> None:
    recorded.ledger.append(removals([f"{SUMS}.safetensors"], "purged"))
    assert statistics_sums(recorded) is None


def test_another_run_is_named_as_none_of_these(folder: RunFolder) -> None:
    with pytest.raises(FedletheError, match="was not trained in closed form"):
        kept_features(folder)
