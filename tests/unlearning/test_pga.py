# SPDX-License-Identifier: MIT
"""Projected gradient ascent: the reference by hand, and the ball on a network that is trained for real.

After the two rounds of test_influence.py (w_1 = 0.5, w_2 = 0.75) c's last model was 0.5 - 2.25 = -1.75 and weighed a
half, so w_ref = (0.75 + 0.5 x 1.75) / 0.5 = 3.25: the mean of a's 2.25 and b's 4.25.
"""

from __future__ import annotations

import math

import pytest
import torch

from fedlethe.errors import FedletheError
from fedlethe.federation.objective import Ascent
from fedlethe.unlearning.pga import Pga, reference
from tests.fakes import linear_federation, trained_history

ALL = [(round, ("a", "b", "c")) for round in (1, 2)]


def test_it_starts_from_the_mean_of_the_others_models() -> None:
    history = trained_history(linear_federation(), ALL)
    torch.testing.assert_close(reference(history, frozenset("c")), torch.full((3,), 3.25))
    # Both a and c gone: b's own last model, 0.5 + 3.75.
    torch.testing.assert_close(reference(history, frozenset("ac")), torch.full((3,), 4.25))


def test_the_reference_is_of_the_last_round_that_the_client_entered() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "b", "c")), (2, ("a", "b"))])
    # w_2 = 0.5 + (1.75 + 3.75) / 2 = 3.25; c's only model was -2, weight 1/2.
    torch.testing.assert_close(reference(history, frozenset("c")), torch.full((3,), (3.25 + 1) / 0.5))


def test_it_climbs_in_a_ball_of_a_third_of_the_way_back() -> None:
    federation = linear_federation()
    model = Pga(epochs=1).unlearn(frozenset("c"), trained_history(federation, ALL), federation).model
    # Five looks at a fifth of an epoch, each half of the way to -4: the fake's loss of 0 never stops it.
    torch.testing.assert_close(model, torch.full((3,), -4 + 7.25 / 2**5))
    ascent, settings = federation.objectives[-1], federation.settings_asked[-1]
    assert isinstance(ascent, Ascent)
    torch.testing.assert_close(ascent.ball.centre, torch.full((3,), 3.25))
    assert ascent.ball.radius == pytest.approx(3.25 * math.sqrt(3) / 3)
    assert settings is not None
    assert (settings.optimizer, settings.learning_rate, settings.clip, settings.epochs) == ("sgd", 0.01, 5.0, 0.2)
    assert federation.asked[-5:] == [(round, "c") for round in range(3, 8)]


def test_it_stops_when_the_client_is_no_better_known_than_by_guessing() -> None:
    federation = linear_federation()
    history = trained_history(federation, ALL)
    federation.asked.clear()
    Pga(epochs=5, stop_loss=1e-9).unlearn(frozenset("c"), history, federation)
    assert len(federation.asked) == 25
    federation.asked.clear()
    knows_nothing = linear_federation(loss=-0.7)  # the ascent's loss is that of cross-entropy with the sign turned
    Pga(epochs=5).unlearn(frozenset("c"), history, knows_nothing)
    assert len(knows_nothing.asked) == 1


def test_a_client_that_was_alone_has_no_reference() -> None:
    history = trained_history(linear_federation(), [(1, ("a", "b")), (2, ("c",))])
    with pytest.raises(FedletheError, match="c: made up the whole of their last round"):
        Pga().unlearn(frozenset("c"), history, linear_federation())


@pytest.mark.parametrize("option", ["learning_rate", "clip", "epochs", "stop_loss", "radius"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Pga(**{option: 0})
