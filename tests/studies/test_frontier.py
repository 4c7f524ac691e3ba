# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import pytest

from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from fedlethe.studies import frontier as study
from fedlethe.studies.frontier import frontier, saved_frontier


@pytest.fixture(autouse=True)
def _few_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "RELEASES", 300)


def test_every_size_of_every_mask_has_a_point_after_those_without_noise(studied: OpenRun) -> None:
    method = studied.config.method("influence", {})
    found = frontier(studied, "influence", {"": method}, (3.0, 1.0), ("subspace", "isotropic"), (0.01, 0.0), draws=1)
    assert [(point.mask, point.stage) for point in found.points] == [
        ("nothing erased", "before"),
        ("no mask", "unlearned"),
        ("subspace", "masked"),
        ("subspace", "masked"),
        ("isotropic", "masked"),
        ("isotropic", "masked"),
        ("isotropic, sigma given", "masked"),
    ]
    assert [point.models for point in found.points] == [3] * 7
    assert all(point.chance == 1 / 3 for point in found.points)
    assert saved_frontier(studied.history) == found
    before, bare = found.points[:2]
    assert (before.epsilon, before.bound) == (None, None)
    assert (bare.epsilon, bare.bound) == (None, None)  # without noise nothing is guaranteed
    assert {one.attacker: one.hits / one.trials for one in bare.named}["full knowledge"] == 1.0
    asked = (1.0, 3.0, 1.0, 3.0)
    for epsilon, point in zip(asked, found.points[2:6], strict=True):
        assert point.epsilon is not None
        assert epsilon * 0.999 <= point.epsilon <= epsilon  # no more is told than is asked for, and hardly less
        assert point.bound is not None
        assert 1 / 3 < point.bound < 1
    assert found.points[2].bound < found.points[3].bound  # type: ignore[operator]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"draws": 0}, "draws 0: must be at least 1"),
        ({"epsilons": ()}, "no epsilon is given"),
        ({"epsilons": (0.0,)}, "epsilon"),
        ({"delta": 1.0}, "delta"),
        ({"masks": ("isotopic",)}, "did you mean 'isotropic'"),
        ({"sigmas": (-1.0,)}, "sigma"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_is_computed(
    given: dict[str, Any], words: str, studied: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "setting_of", None)  # would be called
    with pytest.raises(FedletheError, match=words):
        frontier(studied, "influence", {"": studied.config.method("influence", {})}, **{"draws": 1, **given})


def test_more_noise_of_a_given_size_buys_a_smaller_epsilon(studied: OpenRun) -> None:
    method = studied.config.method("influence", {})
    found = frontier(studied, "influence", {"all": method}, (), ("isotropic",), (0.01, 0.02), draws=1)
    small, large = found.points[2:]
    assert small.epsilon is not None
    assert large.epsilon is not None
    assert small.epsilon > large.epsilon > 0
