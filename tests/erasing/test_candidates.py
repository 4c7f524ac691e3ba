# SPDX-License-Identifier: MIT
"""Who else could have been erased: every set of as many clients, up to a limit."""

from __future__ import annotations

from itertools import combinations

import pytest

from fedlethe.erasing import candidates as candidates_module
from fedlethe.erasing.candidates import AT_MOST, candidate_sets
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.privacy.accounting import pick_guess, top_guess
from fedlethe.privacy.hiding import rounded_up
from fedlethe.privacy.span import Span
from fedlethe.runs.run import OpenRun
from tests.erasing.hiding import HOSPITALS, NO_REPAIR, erased

pytestmark = pytest.mark.usefixtures("secrets_in_order")


def test_of_too_many_clients_nothing_is_claimed(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_module, "AT_MOST", 3)
    erasure = erased(run, mask={"sigma": 0.01}, repair=NO_REPAIR)
    assert erasure.hidden is None
    assert "in 4 ways" in (erasure.not_hidden or "")
    with pytest.raises(FedletheError, match="in 4 ways"):
        erased(run, mask={"epsilon": 1.0})


def test_several_at_once_hide_among_all_sets_of_as_many(run: OpenRun) -> None:
    erasure = erased(run, HOSPITALS[1:3], mask={"epsilon": 3.0})
    assert erasure.hidden is not None
    assert (erasure.hidden.among, erasure.hidden.erased) == (HOSPITALS, 2)
    assert erasure.hidden.guess == top_guess(erasure.hidden.mu, 6)
    assert erasure.hidden.hit == pick_guess(erasure.hidden.mu, 4, 2)
    pairs = [unlearned_by(run, pair, run.config.method("influence", {"clip": 0.5}), run.history, Meter()).model
             for pair in combinations(HOSPITALS, 2)]  # fmt: skip
    assert erasure.hidden.distance == rounded_up(Span.of(pairs).distance)
    bounded = erased(run, HOSPITALS[1:3], mask={"max_guess": 0.6})
    assert bounded.hidden is not None
    assert bounded.hidden.hit == pytest.approx(0.6, abs=1e-6)
    assert bounded.hidden.guess < 0.3
    with pytest.raises(FedletheError, match=r"above 2 / 4 = 0\.5"):
        erased(run, HOSPITALS[1:3], mask={"max_guess": 0.4})


def test_more_sets_than_can_be_computed_are_refused() -> None:
    assert candidate_sets(["b", "a", "c"], 1) == [("a",), ("b",), ("c",)]
    with pytest.raises(FedletheError, match=f"210 ways; a mask hides among {AT_MOST}"):
        candidate_sets([str(number) for number in range(10)], 4)
    with pytest.raises(FedletheError, match="nobody to hide among"):
        candidate_sets(["a"], 1)


def test_one_client_alone_has_nobody_to_hide_among(run: OpenRun) -> None:
    first = erased(run, HOSPITALS[:2])
    second = erased(run, HOSPITALS[2:3], after=first.id, mask={"epsilon": 3.0})
    assert second.hidden is not None
    assert second.hidden.among == HOSPITALS[2:]
    assert "taken as known" in second.hidden.covers
