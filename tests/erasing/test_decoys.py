# SPDX-License-Identifier: MIT
"""Decoys: others who are erased along with the client that asked, so that nothing tells them apart."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from fedlethe.erasing.decoys import companions
from fedlethe.errors import FedletheError
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import HOSPITALS, erased, model_of

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_every_order_of_companions_is_as_likely() -> None:
    others = ["a", "b", "c"]
    draws = 1200
    orders = Counter(tuple(companions(n.to_bytes(32, "big"), ["u"], others)) for n in range(draws))
    assert len(orders) == 6
    assert all(abs(count - draws / 6) < 5 * (draws * 5 / 36) ** 0.5 for count in orders.values())
    secret = bytes(range(32))
    assert companions(secret, ["u"], others) == companions(secret, ["u"], others[::-1])


def test_decoys_are_erased_along_and_nothing_tells_them_apart(run: OpenRun) -> None:
    erasure = erased(run, decoys=2)
    assert len(erasure.forget) == 3
    assert "hospital-1" in erasure.forget
    assert erasure.hidden is not None
    assert (erasure.hidden.by, erasure.hidden.among) == ("decoys", erasure.forget)
    assert erasure.hidden.epsilon == 0.0
    assert erasure.hidden.guess == pytest.approx(1 / 3)
    asked = erasure.request
    assert (asked["forget"], asked["decoys"]) == (list(erasure.forget), 2)  # who asked is not said
    alike = erased(run, erasure.forget)
    torch.testing.assert_close(model_of(erasure, run), model_of(alike, run), rtol=0, atol=0)
    assert run.past(erasure.id).clients == tuple(sorted(set(HOSPITALS) - set(erasure.forget)))


def test_of_several_who_ask_with_decoys_both_chances_are_told(run: OpenRun) -> None:
    hidden = erased(run, HOSPITALS[:2], decoys=1).hidden
    assert hidden is not None
    assert hidden.erased == 2
    assert (hidden.guess, hidden.hit) == pytest.approx((1 / 3, 2 / 3))
    assert "picks one that asked with a chance of at most 66.7 % (blind, 2 of 3: 66.7 %)" in hidden.statement


def test_more_decoys_hold_the_fewer(run: OpenRun) -> None:
    """What they have in common does not narrow it down, and neither does who asks the second time."""
    one, two = (set(erased(run, decoys=number).forget) for number in (1, 2))
    assert one < two
    for client in sorted(one):
        with pytest.raises(FedletheError, match="erased already in this way"):
            erased(run, [client], decoys=1)


def test_decoys_hide_with_any_method(run: OpenRun) -> None:
    erasure = erased(run, method="retrain", options={}, decoys=1)
    assert erasure.hidden is not None
    assert erasure.hidden.guess == pytest.approx(0.5)
    assert erasure.guarantee is not None
    assert erasure.guarantee.kind == "exact"
