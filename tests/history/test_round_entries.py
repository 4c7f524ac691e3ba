# SPDX-License-Identifier: MIT
from __future__ import annotations

import torch

from fedlethe.history.entries import Participation
from fedlethe.history.round_entries import participation_of, update_entered
from fedlethe.types import RoundRecord, Update

BEFORE = torch.tensor([1.0, 2.0])
UPDATE = Update("a", torch.tensor([1.5, 1.0]), 12, 24, 3, 0.125)


def test_a_round_is_who_was_taken_and_who_was_not() -> None:
    record = RoundRecord(4, BEFORE, BEFORE, {"a": UPDATE}, {"a": 1.0}, {"b": "is NaN"}, 0.5)
    assert participation_of(record) == [
        Participation(4, "a", 12, 1.0, 24, 3, 0.125),
        Participation(4, "b", refused="is NaN"),
    ]


def test_an_update_comes_back_from_its_entry_and_its_delta() -> None:
    (entry,) = participation_of(RoundRecord(4, BEFORE, BEFORE, {"a": UPDATE}, {"a": 1.0}, {}, 0.5))
    again = update_entered(entry, BEFORE, UPDATE.model - BEFORE)
    assert torch.equal(again.model, UPDATE.model)
    assert (again.client, again.num_examples, again.examples_processed, again.steps) == ("a", 12, 24, 3)
    assert update_entered(Participation(4, "a"), BEFORE, BEFORE).loss == 0.0
