# SPDX-License-Identifier: MIT
"""Those train whom a method declared, and nobody else."""

from __future__ import annotations

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.declared import declared
from fedlethe.federation.federation import Federation
from fedlethe.federation.objective import Distillation
from fedlethe.types import Need
from tests.fakes import linear_federation

MODEL = torch.zeros(3)


def _declared(*needs: Need, inner: Federation | None = None) -> Federation:
    return declared(inner or linear_federation(), frozenset({"b"}), frozenset(needs), "mine")


@pytest.mark.parametrize(
    ("client", "need", "other"),
    [("a", Need.RETAINED_DATA, Need.FORGOTTEN_DATA), ("b", Need.FORGOTTEN_DATA, Need.RETAINED_DATA)],
)
def test_a_client_trains_where_it_was_declared(client: str, need: Need, other: Need) -> None:
    (update,) = _declared(need).train(MODEL, (client,), round=1)
    assert update.client == client
    inner = linear_federation()
    federation = _declared(other, inner=inner)
    with pytest.raises(FedletheError, match=f"^mine: uses '{need.value}', .*; add Need.{need.name} to its `needs`"):
        federation.train(MODEL, (client,), round=1)  # at once, not when the updates are read
    assert inner.asked == []


def test_public_images_are_used_where_they_were_declared() -> None:
    objective = Distillation(MODEL, 1.0)
    assert _declared(Need.PUBLIC_DATA).train_on_public(MODEL, round=1, objective=objective).client == "(public)"
    with pytest.raises(FedletheError, match=r"add Need\.PUBLIC_DATA"):
        _declared(Need.RETAINED_DATA).train_on_public(MODEL, round=1, objective=objective)


def test_with_clients_gone_it_is_as_strict() -> None:
    left = _declared(Need.FORGOTTEN_DATA).without({"c"})
    assert left.clients == ("a", "b")
    assert (left.layout, left.settings) == (linear_federation().layout, linear_federation().settings)
    with pytest.raises(FedletheError, match=r"Need\.RETAINED_DATA"):
        left.train(MODEL, ("a",), round=1)
