# SPDX-License-Identifier: MIT
from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlethe.privacy.accounting import gaussian_epsilon, gaussian_sigma, pick_guess, top_guess
from fedlethe.privacy.hiding import DELTA, Hidden, Masking, hidden_by, hidden_together, rounded_up


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sigma": 0.1, "epsilon": 3.0}, "sigma and epsilon"),
        ({"epsilon": 3.0, "max_guess": 0.4}, "epsilon and max_guess"),
        ({"epsilon": 0.0}, "above 0"),
        ({"epsilon": -1.0}, "above 0"),
        ({"epsilon": math.inf}, "finite"),
        ({"epsilon": 1.0, "delta": 0.0}, "delta must be between 0 and 1"),
        ({"epsilon": 1.0, "delta": 1.0}, "delta must be between 0 and 1"),
        ({"sigma": -1.0}, "at least 0"),
        ({"sigma": math.nan}, "finite"),
        ({"max_guess": 0.0}, "m / K"),
        ({"max_guess": 1.0}, "m / K"),
        ({"kind": "subspace"}, "no size"),
        ({"delta": 0.001}, "delta says not how much"),
    ],
)
def test_a_masking_that_means_nothing_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Masking(**fields)


def test_the_kind_is_subspace_where_a_guarantee_is_asked_and_isotropic_where_a_sigma_is() -> None:
    assert Masking(epsilon=1.0).chosen == Masking(max_guess=0.5).chosen == "subspace"
    assert Masking(sigma=0.1).chosen == Masking().chosen == "isotropic"
    assert Masking(sigma=0.1, kind="shaped").chosen == "shaped"
    assert not Masking(sigma=0.0).adds_noise
    assert Masking(sigma=0.1).adds_noise
    assert not Masking(sigma=0.1).guarantees


def test_one_masking_has_one_text_and_a_plain_sigma_the_one_it_always_had() -> None:
    assert Masking().canonical() == Masking(sigma=0.0).canonical() == {"sigma": 0.0}
    assert Masking(sigma=0.03).canonical() == {"sigma": 0.03}
    assert Masking(epsilon=3.0).canonical() == Masking(epsilon=3.0, kind="subspace", delta=DELTA).canonical()
    assert Masking(epsilon=3.0).canonical() == {"kind": "subspace", "delta": 1e-5, "epsilon": 3.0}
    assert Masking(max_guess=0.4, kind="shaped").canonical() == {"kind": "shaped", "delta": 1e-5, "max_guess": 0.4}


def test_sigma_by_each_of_the_three() -> None:
    assert Masking(sigma=0.2).sigma_for(5.0, 4) == 0.2
    assert Masking(epsilon=2.0, delta=1e-3).sigma_for(5.0, 4) == pytest.approx(gaussian_sigma(2.0, 1e-3, 5.0))
    sigma = Masking(max_guess=0.4).sigma_for(5.0, 4)
    assert top_guess(5.0 / sigma, 4) == pytest.approx(0.4, abs=1e-9)
    with pytest.raises(ValueError, match="1 / 4"):
        Masking(max_guess=0.25).sigma_for(5.0, 4)


def hidden(mu: float, among: str = "abcd", delta: float = DELTA) -> Hidden:
    return hidden_by("subspace", list(among), 2.0 if mu else 0.0, 2.0 / mu if mu else 0.0, delta, "all")


@given(st.floats(1e-30, 1e30))
def test_a_distance_is_rounded_up_to_two_digits(distance: float) -> None:
    shown = rounded_up(distance)
    assert distance <= shown <= distance * 1.1
    assert shown == float(f"{shown:.1e}")


def test_what_is_hidden_is_told_in_numbers_that_fit_together() -> None:
    found = hidden(0.5)
    assert (found.mu, found.sigma, found.distance) == (0.5, 4.0, 2.0)
    assert found.epsilon == gaussian_epsilon(DELTA, 4.0, 2.0)
    assert hidden(0.5, delta=1e-2).epsilon == gaussian_epsilon(1e-2, 4.0, 2.0) < found.epsilon
    assert found.guess == top_guess(0.5, 4)
    assert found.blind == 0.25
    for words in (f"{100 * found.guess:.1f} %", "blind among 4: 25.0 %", f"epsilon {found.epsilon:.4g}", "delta 1e-05"):
        assert words in found.statement


def test_candidates_that_coincide_need_no_noise() -> None:
    found = hidden(0.0)
    assert (found.mu, found.epsilon, found.guess) == (0.0, 0.0, 0.25)
    assert "sigma 0 suffices" in found.statement
    with pytest.raises(ValueError, match="without noise"):
        hidden_by("subspace", ["a", "b"], 1.0, 0.0, DELTA, "all")


def test_of_several_both_chances_are_told_beside_their_blind_ones() -> None:
    found = hidden_by("subspace", list("abcde"), 1.0, gaussian_sigma(3.0, DELTA), DELTA, "all", erased=2)
    assert (found.blind, found.blind_hit) == (0.1, 0.4)
    assert found.guess == top_guess(found.mu, 10)
    assert found.hit == pick_guess(found.mu, 5, 2)
    assert 0.528 < found.hit < 0.573  # more than attackers get on candidates that add up
    for words in (
        "names both clients with a chance of at most 20.1 % (blind among 10 sets: 10.0 %)",
        f"picks one that is erased with a chance of at most {100 * found.hit:.1f} % (blind, 2 of 5: 40.0 %)",
    ):
        assert words in found.statement
    assert hidden(0.5).hit == hidden(0.5).guess


def test_max_guess_holds_for_naming_the_set_and_for_picking_one_of_it() -> None:
    sigma = Masking(max_guess=0.5).sigma_for(3.0, 5, 2)
    assert pick_guess(3.0 / sigma, 5, 2) == pytest.approx(0.5, abs=1e-9)
    assert top_guess(3.0 / sigma, 10) < 0.5
    with pytest.raises(ValueError, match="above 2 / 5"):
        Masking(max_guess=0.3).sigma_for(3.0, 5, 2)  # above a blind guess at the pair, below one at one of them


def test_several_releases_hide_less_together() -> None:
    both = hidden_together([hidden(0.3), hidden(0.4)])
    assert both.guess == both.hit == pytest.approx(top_guess(0.5, 4))
    assert both.epsilon == pytest.approx(gaussian_epsilon(DELTA, 1.0, 0.5))
    one = hidden_together([hidden(0.3)])
    assert (one.epsilon, one.guess) == pytest.approx((hidden(0.3).epsilon, hidden(0.3).guess))
    none = hidden_together([hidden(0.0), hidden(0.0)])
    assert (none.epsilon, none.guess) == pytest.approx((0.0, 0.25))


def test_who_is_missing_in_one_release_is_not_the_one() -> None:
    assert hidden_together([hidden(0.3), hidden(0.4, among="abx")]).guess == pytest.approx(top_guess(0.5, 2))
    assert hidden_together([hidden(0.3), hidden(0.4, among="a")]).guess == 1.0
    assert hidden_together([hidden(0.3), hidden(0.4, among="xyz")]).hit == 1.0


def test_of_releases_that_erase_different_numbers_nothing_is_claimed() -> None:
    pair = hidden_by("subspace", list("abcd"), 0.3, 1.0, DELTA, "all", erased=2)
    both = hidden_together([pair, hidden(0.4)])
    assert (both.guess, both.hit) == (1.0, 1.0)
    assert hidden_together([pair, pair]).hit == pytest.approx(pick_guess(math.hypot(0.3, 0.3), 4, 2))
