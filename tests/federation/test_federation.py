# SPDX-License-Identifier: MIT
"""What every Federation keeps to: in one process, counted by a meter, and the fake that the tests have for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.federation import Federation
from fedlethe.federation.metered import Meter, metered
from fedlethe.federation.simulated import SimulatedFederation
from tests.fakes import linear_federation

KINDS: dict[str, Callable[[SimulatedFederation], Federation]] = {
    "simulated": lambda federation: federation,
    "metered": lambda federation: metered(federation, Meter()),
    "linear": lambda federation: linear_federation(),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, federation: SimulatedFederation) -> Federation:
    return KINDS[request.param](federation)


def test_clients_answer_in_the_order_asked_each_for_itself(kind: Federation) -> None:
    model = torch.ones(kind.layout.size)
    updates = list(kind.train(model, ["c", "a"], round=1))
    assert [update.client for update in updates] == ["c", "a"]
    assert all(update.model.shape == model.shape for update in updates)
    (alone,) = kind.train(model, ["a"], round=1)
    assert torch.equal(alone.model, updates[1].model)


def test_the_model_that_is_sent_is_not_written_to(kind: Federation) -> None:
    model = torch.ones(kind.layout.size)
    (update,) = kind.train(model, ["b"], round=1)
    assert torch.equal(model, torch.ones(kind.layout.size))
    assert not torch.equal(update.model, model)
    assert update.model.data_ptr() != model.data_ptr()


def test_who_is_gone_is_gone_from_what_is_returned_alone(kind: Federation) -> None:
    left = kind.without(["b"])
    assert (left.clients, kind.clients) == (("a", "c"), ("a", "b", "c"))
    assert left.layout == kind.layout
    with pytest.raises(FedletheError, match="'b' is not in this federation; its clients are a, c"):
        list(left.train(torch.ones(kind.layout.size), ["b"], round=1))
    assert len(list(kind.train(torch.ones(kind.layout.size), ["b"], round=1))) == 1


def test_a_client_trains_only_when_its_update_is_drawn(federation: SimulatedFederation) -> None:
    """So a caller can record, or stop, between two clients."""
    linear = linear_federation()
    updates = linear.train(torch.zeros(3), ["a", "b"], round=1)
    assert linear.asked == []
    next(updates)
    assert linear.asked == [(1, "a")]
    meter = Meter()
    counted = metered(federation, meter).train(torch.ones(10), ["a", "b"], round=1)
    next(counted)
    assert meter.clients == {"a"}
