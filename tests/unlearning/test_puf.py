# SPDX-License-Identifier: MIT
"""Negated pseudo-gradients, by hand: from w_2 = 0.75 c goes half of the way to -4, a step of -2.375, weight 1/2."""

from __future__ import annotations

import pytest
import torch

from fedlethe.unlearning.puf import Puf
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_the_forgotten_clients_step_is_taken_backwards() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    federation.asked.clear()
    model = Puf(eta=3, epochs=0.5).unlearn(frozenset("c"), history, federation).model
    torch.testing.assert_close(model, torch.full((3,), 0.75 + 3 * 0.5 * 2.375))
    assert federation.asked == [(3, "c")]
    assert federation.settings_asked[-1] is not None
    assert federation.settings_asked[-1].epochs == 0.5


def test_each_of_several_weighs_what_it_did() -> None:
    federation = linear_federation()
    model = Puf(eta=1).unlearn(frozenset("ac"), trained_history(federation, ALL), federation).model
    # a: half of 4 - 0.75 = 1.625, weight 1/4.
    torch.testing.assert_close(model, torch.full((3,), 0.75 - 0.25 * 1.625 + 0.5 * 2.375))


@pytest.mark.parametrize("option", ["eta", "epochs"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Puf(**{option: 0})
