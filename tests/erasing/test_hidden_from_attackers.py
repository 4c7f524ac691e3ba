# SPDX-License-Identifier: MIT
"""What is hidden of who left, held against attackers who know everything but that."""

from __future__ import annotations

from typing import Any

import pytest

from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_for_nobody
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from fedlethe.studies.frontier import frontier
from fedlethe.studies.who_left import who_left

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_the_frontier_holds_masks_against_each_other(run: OpenRun) -> None:
    methods = {"clip 0.5": run.config.method("influence", {"clip": 0.5})}
    result = frontier(run, "influence", methods, [1.0, 8.0], ["isotropic", "subspace", "shaped"], [0.01], draws=1)
    by_mask: dict[str, list[Any]] = {}
    for point in result.points:
        by_mask.setdefault(point.mask, []).append(point)
    assert {mask: len(points) for mask, points in by_mask.items()} == {
        "nothing erased": 1,
        "no mask": 1,
        "isotropic": 2,
        "subspace": 2,
        "shaped": 2,
        "isotropic, sigma given": 1,
    }
    for points in (by_mask["isotropic"], by_mask["subspace"], by_mask["shaped"]):
        for point, epsilon in zip(points, (1.0, 8.0), strict=True):
            assert point.epsilon == pytest.approx(epsilon, abs=1e-6)
            full = next(one for one in point.named if one.attacker == "full knowledge")
            assert full.low <= point.bound
            assert full.trials == 4000
    (unmasked,) = by_mask["no mask"]
    assert {one.attacker: one.hits / one.trials for one in unmasked.named}["full knowledge"] == 1.0
    assert unmasked.attack_success is not None
    (published,) = by_mask["isotropic, sigma given"]
    assert published.sigma == 0.01
    assert published.epsilon > 20
    assert published.bound > 0.95
    lines = (run.path / "report" / "frontier.csv").read_text().splitlines()
    assert len(lines) == 1 + len(result.points)
    assert (run.path / "report" / "frontier.png").is_file()
    assert run.history.ledger.erasures() == {}


def test_who_left_shows_in_a_plain_repair_and_not_among_decoys(run: OpenRun) -> None:
    plain = who_left(run, order_for_nobody(run, ErasurePlan(method="influence", repair={"rounds": 1})), draws=1)
    assert [point.stage for point in plain.points] == ["unlearned", "repaired 1"]
    for point in plain.points:
        rates = {one.attacker: one.hits / one.trials for one in point.named}
        assert rates["full knowledge"] == 1.0
        assert point.bound is None
    decoys = who_left(
        run, order_for_nobody(run, ErasurePlan(method="influence", repair={"rounds": 1}, decoys=3 - 1)), draws=2
    )
    assert [point.chance for point in decoys.points] == [pytest.approx(1 / 3)] * 2
    assert all(point.bound == pytest.approx(1 / 3) for point in decoys.points)
    few = who_left(
        run,
        order_for_nobody(
            run, ErasurePlan(method="influence", mask={"epsilon": 1.0}, repair={"rounds": 1, "clients": 1})
        ),
        draws=1,
    )
    assert [point.stage for point in few.points] == ["masked", "repaired 1"]
    assert [point.bound for point in few.points] == [few.points[0].bound] * 2
    full = [next(one for one in point.named if one.attacker == "full knowledge") for point in few.points]
    assert full[0].hits == full[1].hits or abs(full[0].hits - full[1].hits) <= 0


def test_a_repair_by_all_shows_who_left_through_any_mask(run: OpenRun) -> None:
    drowned = {"sigma": 2.0, "kind": "subspace"}
    masked = who_left(
        run,
        order_for_nobody(
            run, ErasurePlan(method="influence", options={"clip": 0.5}, mask=drowned, repair={"rounds": 1})
        ),
        draws=1,
    )
    assert [point.bound is None for point in masked.points] == [False, True]
    assert (masked.points[0].bound or 1.0) < 0.4
    (repaired,) = [one for one in masked.points[1].named if one.attacker == "full knowledge"]
    assert (repaired.hits, repaired.trials) == (4, 4)


def test_studies_of_nothing_are_refused(run: OpenRun) -> None:
    usual: dict[str, Any] = {
        "methods": {"influence": run.config.method("influence", {})},
        "epsilons": [1.0],
        "draws": 1,
    }
    refused: list[tuple[dict[str, Any], str]] = [
        ({"epsilons": []}, "no epsilon"),
        ({"epsilons": [0.0]}, "epsilon must be"),
        ({"delta": 1.0}, "delta must be"),
        ({"draws": 0}, "draws 0"),
        ({"masks": ["round"]}, "no mask 'round'"),
        ({"sigmas": [-1.0]}, "sigma must be"),
        ({"methods": {"retrain": run.config.method("retrain", {})}}, "its frontier cannot be drawn"),
        ({"methods": {"nothing": run.config.method("influence", {"scale": 0.0})}}, "sigma 0 suffices"),
    ]
    for changes, words in refused:
        with pytest.raises(FedletheError, match=words):
            frontier(run, "influence", **{**usual, **changes})
    with pytest.raises(FedletheError, match="draws 0"):
        who_left(run, order_for_nobody(run, ErasurePlan(method="influence")), draws=0)
    with pytest.raises(FedletheError, match="except with decoys"):
        who_left(run, order_for_nobody(run, ErasurePlan(method="retrain")), draws=1)
