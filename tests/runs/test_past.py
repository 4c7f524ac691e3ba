# SPDX-License-Identifier: MIT
"""The chain of erasures behind a model, and what they add up to."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fedlethe.errors import HistoryError
from fedlethe.runs.lineage import up_to
from fedlethe.runs.past import begun_after, begun_parts, chain_of, part_of
from fedlethe.types import Need


def folder(records: dict[str, dict[str, Any]], base: str | None = None, anew: str = "") -> Any:
    """A run folder with these erasures, each of whose repairs gave hospital 'c' a vector of ones."""
    return SimpleNamespace(
        path=Path("run"),
        base=base,
        keep=frozenset({Need.INFLUENCE, Need.DELTAS}),
        demand_erasure=lambda id: None,
        erasure_record=lambda id: json.dumps(records[id]),
        anew=lambda id: {"b": torch.full((2,), 5.0)} if id == anew else {},
        repair=lambda id: {"c": torch.ones(2)},
    )


THREE: dict[str, dict[str, Any]] = {
    "0001": {"forget": ["a"]},
    "0002": {"forget": ["b"], "after": "0001", "patients": {"b": ["p1"]}},
    "0003": {"forget": ["d"], "after": "0002", "joined": ["a"]},
}


def test_a_chain_is_followed_back_and_told_from_its_start() -> None:
    assert [id for id, _ in chain_of(folder(THREE), "0003")] == ["0001", "0002", "0003"]
    assert chain_of(folder(THREE), None) == []


@pytest.mark.parametrize("after", ["0002", "0001", 7])
def test_a_chain_that_does_not_go_back_is_refused(after: object) -> None:
    with pytest.raises(HistoryError, match="erasure 0001 cannot come after"):
        chain_of(folder({**THREE, "0001": {"forget": [], "after": after}}), "0001")


@pytest.mark.parametrize(
    "forged", [{"hidden": 1}, {"cost": 1}, {"cost": {"clients": 1}}, {"patients": []}, {"joined": 7}, {"forget": None}]
)
def test_a_record_that_cannot_be_read_is_named_in_one_line(forged: dict[str, Any]) -> None:
    broken = folder({**THREE, "0001": {**THREE["0001"], **forged}})
    for reader in (part_of, up_to):
        with pytest.raises(HistoryError, match=r"^run/erasures/0001/erasure\.json: .*; restore the run") as error:
            reader(broken, "0003")
        assert "\n" not in str(error.value)


def test_who_is_erased_who_came_back_and_whose_patients_are_gone() -> None:
    part = part_of(folder(THREE), "0003")
    assert part.erased == {"d"}  # a came back, and of b some patients are gone alone
    assert part.patients == {"b": {"p1"}}
    assert part.revised == {"b": "erasures/0002/statistics/b"}
    assert part.repair["c"].tolist() == [3.0, 3.0]
    assert not part.anew


def test_what_a_retraining_left_takes_the_place_of_the_repairs_before_it() -> None:
    part = part_of(folder(THREE, anew="0002"), "0003")
    assert part.anew
    assert part.repair["b"].tolist() == [5.0, 5.0]
    assert part.repair["c"].tolist() == [2.0, 2.0]


def test_influences_that_a_purge_rebased_on_another_model_are_not_of_this_one() -> None:
    assert Need.INFLUENCE in part_of(folder(THREE, base="0002"), "0003").keep
    assert part_of(folder(THREE, base="0003"), "0002").keep == {Need.DELTAS}


def test_what_is_no_erasures_folder_is_named(tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(HistoryError, match="is not an erasure's folder"):
        begun_after(tmp_path, "elsewhere", stack)
    with ExitStack() as stack:
        assert begun_parts(tmp_path, None, stack) == ()
