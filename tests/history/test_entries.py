# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from typing import get_args

import pytest

from fedlethe.history.entries import Artefact, ArtefactKind, Participation, entries_of, plain_entry, removals
from fedlethe.history.rows import FOLDERS

FILE = Artefact("norms/a/x.sealed", "norms", "a", 1, 7, "0" * 64)


def test_files_and_removals_are_rows_that_say_all_of_them() -> None:
    ((kind, body),) = entries_of([FILE])
    assert (kind, Artefact(**body)) == ("artefact", FILE)
    assert removals(["x", "y"], "erased") == [
        ("removed", {"path": "x", "because": "erased"}),
        ("removed", {"path": "y", "because": "erased"}),
    ]


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf"), -float("inf")])
def test_what_is_not_known_is_left_out_of_a_row(loss: float | None) -> None:
    body = plain_entry(Participation(2, "a", num_examples=0, weight=0.5, loss=loss))
    assert body == {"round": 2, "client": "a", "num_examples": 0, "weight": 0.5}
    json.dumps(body, allow_nan=False)
    assert Participation(**body) == Participation(2, "a", num_examples=0, weight=0.5)


def test_every_kind_of_file_has_a_place() -> None:
    assert set(get_args(ArtefactKind)) - set(FOLDERS) == {"configuration", "study"}  # these are at places of their own
