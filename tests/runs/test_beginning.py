# SPDX-License-Identifier: MIT
"""Where a run begins, as run.toml has it and as the ledger has it."""

from __future__ import annotations

import pytest

from fedlethe.errors import FedletheError
from fedlethe.runs.beginning import BEGINNING, Beginning, LeftOut

BEGUN = Beginning(
    after="../run/erasures/0001",
    take_back=("c",),
    left_out=(LeftOut(client="a", because="erased"), LeftOut(client="b", because="a patient", images=2)),
    positions={"b": {"train": (0, 3)}},
    array="abc",
    rows=(1, 2),
    retained={"c": "f00"},
)


def test_it_is_read_back_as_it_was() -> None:
    assert Beginning.of({BEGINNING: BEGUN.facts()}) == BEGUN
    assert Beginning.of({}) == Beginning()
    assert Beginning().facts() == {}


def test_the_ledger_is_not_told_which_images_they_were() -> None:
    assert set(BEGUN.facts()) - set(BEGUN.entry()) == {"positions", "array", "rows", "retained"}
    assert BEGUN.entry()["left_out"][1] == {"client": "b", "because": "a patient", "images": 2}


def test_only_who_is_left_out_as_a_whole_has_no_images_at_all() -> None:
    (erased,) = BEGUN.erased
    assert erased.clients == ("a",)
    assert erased.positions == {"b": {"train": (0, 3)}}
    assert (erased.array, erased.rows) == ("abc", (1, 2))
    assert Beginning(after="x").erased == ()


def test_it_is_told_in_words() -> None:
    assert [str(one) for one in BEGUN.left_out] == ["left out: a: erased", "left out: 2 images of b: a patient"]


def test_what_cannot_be_is_named_with_its_place() -> None:
    with pytest.raises(FedletheError, match=r"\[run\.beginning\] rows\.0: .*restore the file"):
        Beginning.of({BEGINNING: {"after": "x", "rows": ["one"]}})
