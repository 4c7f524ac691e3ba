# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch

from fedlethe.federation.metered import Meter, metered
from tests.fakes import linear_federation


def test_it_counts_what_passes_through_and_shares_the_count() -> None:
    calls: list[int] = []
    meter = Meter(notify=lambda: calls.append(1))
    federation = metered(linear_federation(), meter)
    model = torch.zeros(3)
    list(federation.train(model, ["a", "c"], round=1))
    retained = federation.without(["a"])
    list(retained.train(model, ["c"], round=2))
    cost = meter.cost()
    assert (cost.client_steps, cost.examples, cost.clients) == (3, 1 + 2 + 2, ("a", "c"))
    assert cost.bytes_moved == 3 * 2 * 3 * 4  # updates x (sent and received) x weights x bytes
    assert len(calls) == 3
    assert retained.clients == ("b", "c")


def test_time_in_which_it_is_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("fedlethe.federation.metered.time.perf_counter", lambda: now)
    meter = Meter(start=now)
    now += 1.5
    with meter.stopped():
        now += 64.0
    now += 0.25
    assert meter.cost().seconds == 1.75
