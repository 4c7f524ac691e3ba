# SPDX-License-Identifier: MIT
"""Two rounds of three linear clients, by hand (deltas as in test_influence.py).

Without c, a and b weigh 1/2: round 1 1/2*2 + 1/2*4 = 3, round 2 1/2*1.75 + 1/2*3.75 = 2.75; w' = 5.75.
"""

from __future__ import annotations

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.unlearning.fed_accum import FedAccum
from fedlethe.unlearning.influence import Influence
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_the_retained_deltas_are_summed_and_reweighted() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    model = FedAccum().unlearn(frozenset("c"), history, federation.without("c")).model
    assert torch.equal(model, torch.full((3,), 5.75))


def test_the_influence_renormalised_is_the_same_from_less_history() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL, keep=Influence.needs)
    model = Influence(renormalise=True).unlearn(frozenset("c"), history, federation.without("c")).model
    torch.testing.assert_close(model, torch.full((3,), 5.75))


def test_where_only_one_is_retained_it_weighs_one() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "c")), (2, ("c",))])
    model = FedAccum().unlearn(frozenset("c"), history, linear_federation().without("c")).model
    assert torch.equal(model, torch.full((3,), 2.0))  # a's delta of round 1; nobody is retained in round 2


def test_the_influence_cannot_renormalise_uneven_rounds() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "c")), (2, ("a", "b", "c"))])
    with pytest.raises(FedletheError, match="fed_accum"):
        Influence(renormalise=True).unlearn(frozenset("c"), history, linear_federation().without("c"))
