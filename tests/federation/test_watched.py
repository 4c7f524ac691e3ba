# SPDX-License-Identifier: MIT
"""Whoever watches a federation is told of each call, in its order, and may refuse it."""

from __future__ import annotations

import pytest
import torch

from fedlethe.errors import ConfigError
from fedlethe.federation.objective import Distillation
from fedlethe.federation.watched import WatchedFederation
from fedlethe.types import ClientId, Update
from tests.fakes import linear_federation

MODEL = torch.zeros(3)


def test_it_tells_who_is_asked_at_once_and_of_each_update_as_it_is_drawn() -> None:
    told: list[str] = []

    def after(client: ClientId | None, update: Update) -> None:
        told.append(f"{client} sent as {update.client}")

    watched = WatchedFederation(linear_federation(), lambda client: told.append(f"ask {client}"), after)
    updates = watched.without(["b"]).train(MODEL, ["a", "c"], round=1)
    assert told == ["ask a", "ask c"]
    next(updates)
    assert told[2:] == ["a sent as a"]
    next(updates)
    watched.train_on_public(MODEL, round=1, objective=Distillation(MODEL, 1.0))
    assert told[3:] == ["c sent as c", "ask None", "None sent as (public)"]


def test_who_is_told_before_can_refuse() -> None:
    def refuse(client: ClientId | None) -> None:
        raise ConfigError(f"not {client}")

    inner = linear_federation()
    with pytest.raises(ConfigError, match="not b"):
        WatchedFederation(inner, before=refuse).train(MODEL, ["b"], round=1)
    assert inner.asked == []


def test_unwatched_it_is_the_federation() -> None:
    inner = linear_federation()
    watched = WatchedFederation(inner)
    assert (watched.layout, watched.clients, watched.settings) == (inner.layout, inner.clients, inner.settings)
    assert watched.aggregator is inner.aggregator
    (mine,), (its,) = (one.train(MODEL, ["a"], round=1) for one in (watched, inner))
    assert torch.equal(mine.model, its.model)
