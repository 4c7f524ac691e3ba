# SPDX-License-Identifier: MIT
"""The accounting against the integrals that define it, dp-accounting, and naive simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from fedlethe.privacy.accounting import (
    composed,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_sigma,
    log_phi,
    mu_of_guess,
    pick_guess,
    top_guess,
)
from tests.privacy.epsilon_alone import exceeded, guess_bound
from tests.privacy.simulated import simulated_guess

EPSILONS = (0.01, 0.1, 0.5, 1.0, 3.0, 8.0, 20.0)
DELTAS = (1e-10, 1e-5, 0.1)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_delta_is_the_hockey_stick_divergence(epsilon: float, sigma: float) -> None:
    x = np.linspace(-60, 60, 1_200_001)
    one, other = (np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for mean in (1.0, 0.0))
    expected = float(np.maximum(one - math.exp(epsilon) * other, 0).sum() * (x[1] - x[0]))
    assert gaussian_delta(epsilon, sigma) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("delta", DELTAS)
def test_sigma_is_the_least_that_keeps_to_both(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta, sensitivity=2.0)
    assert gaussian_delta(epsilon, sigma, sensitivity=2.0) == pytest.approx(delta, rel=1e-6)
    assert gaussian_delta(epsilon, 0.999 * sigma, sensitivity=2.0) > delta


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", DELTAS)
def test_sigma_and_epsilon_agree_with_dp_accounting(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta)
    assert sigma == pytest.approx(dp_accounting.get_sigma_gaussian(epsilon, delta), rel=1e-6)
    for scale in (0.3, 1.0, 2.5):
        ours, theirs = gaussian_epsilon(delta, scale * sigma), dp_accounting.get_epsilon_gaussian(scale * sigma, delta)
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
        assert gaussian_epsilon(delta, 7 * scale * sigma, sensitivity=7.0) == pytest.approx(ours, rel=1e-9)


def test_epsilon_where_there_is_nothing_to_hide_and_where_nothing_hides() -> None:
    assert gaussian_epsilon(1e-5, 0.0, sensitivity=0.0) == 0.0
    assert gaussian_epsilon(1e-5, 0.0) == math.inf
    assert gaussian_epsilon(0.1, 100.0) == 0.0  # delta alone covers it


def test_releases_compose_as_dp_accounting_composes_them() -> None:
    sigmas, delta = (1.5, 3.0, 2.0), 1e-5
    together = pld.from_gaussian_mechanism(sigmas[0])
    for sigma in sigmas[1:]:
        together = together.compose(pld.from_gaussian_mechanism(sigma))
    ours = gaussian_epsilon(delta, 1.0, composed(1 / sigma for sigma in sigmas))
    assert ours == pytest.approx(together.get_epsilon_for_delta(delta), rel=2e-3)  # theirs is rounded up on a grid


def test_the_tail_does_not_underflow() -> None:
    assert log_phi(0.0) == pytest.approx(math.log(0.5))
    assert log_phi(-20.001) == pytest.approx(log_phi(-19.999), rel=1e-3)  # both branches
    assert log_phi(-60.0) == pytest.approx(-1800 - math.log(60 * math.sqrt(2 * math.pi)), rel=1e-6)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.1), (-1.0, 0.1), (math.nan, 0.1), (1.0, 0.0), (1.0, 1.0)])
def test_what_means_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon|delta"):
        gaussian_sigma(epsilon, delta)
    if delta != 0.1:
        with pytest.raises(ValueError, match="delta"):
            gaussian_epsilon(delta, 1.0)


# The best guess


@pytest.mark.parametrize("mu", [0.0, 0.2, 1.0, 4.0, 30.0])
def test_of_two_the_guess_is_known(mu: float) -> None:
    assert top_guess(mu, 2) == pytest.approx(NormalDist().cdf(mu / 2), abs=1e-12)


def test_the_guess_at_the_ends() -> None:
    assert top_guess(0.0, 7) == pytest.approx(1 / 7, abs=1e-12)
    assert top_guess(math.inf, 7) == top_guess(3.0, 1) == 1.0
    assert top_guess(100.0, 7) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("count", [3, 20])
def test_the_guess_is_what_an_attacker_gets_on_a_simplex(count: int) -> None:
    mu, trials, generator = 1.3, 100_000, np.random.default_rng(count)
    means = np.eye(count) * mu / math.sqrt(2)
    true = generator.integers(count, size=trials)
    seen = means[true] + generator.standard_normal((trials, count))
    hits = float((seen.argmax(axis=1) == true).mean())  # the likeliest: the largest product, all means being as long
    expected = top_guess(mu, count)
    assert hits == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / trials))


@settings(max_examples=50)
@given(
    count=st.integers(2, 6),
    size=st.integers(1, 5),
    mu=st.floats(0.05, 4.0),
    seed=st.integers(0, 10_000),
)
def test_no_candidates_that_lie_closer_are_told_apart_better(count: int, size: int, mu: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    means = generator.standard_normal((count, size))
    widest = np.linalg.norm(means[:, None] - means[None], axis=-1).max()
    estimate, low, high = simulated_guess(mu * means / widest, 400, generator, deviations=5.0)
    assert 1 / count <= low <= estimate <= high <= 1
    assert low <= top_guess(mu, count) + 1e-12


def test_the_simulation_finds_what_the_integral_finds() -> None:
    _, low, high = simulated_guess(np.eye(5) / math.sqrt(2), 20_000, np.random.default_rng(0))
    assert low < top_guess(1.0, 5) < high
    assert high - low < 0.006
    assert simulated_guess(np.zeros((4, 2)), 10, np.random.default_rng(0)) == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("count", [2, 5, 20])
def test_randomised_response_attains_the_bound_of_epsilon(epsilon: float, count: int) -> None:
    truth = math.exp(epsilon) / (math.exp(epsilon) + count - 1)  # K-ary randomised response is (epsilon, 0)
    assert guess_bound(epsilon, 0.0, count) == pytest.approx(truth, rel=1e-12)
    assert truth < guess_bound(epsilon, 0.01, count) <= truth + 0.01


@given(mu=st.floats(0.05, 5.0), epsilon=st.floats(0.01, 12.0), count=st.integers(2, 30))
def test_what_is_known_of_gaussians_is_below_what_epsilon_alone_says(mu: float, epsilon: float, count: int) -> None:
    assert top_guess(mu, count) <= guess_bound(epsilon, gaussian_delta(epsilon, 1 / mu), count) + 1e-9


def test_the_bounds_of_no_privacy_at_all() -> None:
    assert guess_bound(math.inf, 0.1, 5) == 1.0
    assert guess_bound(1e6, 0.1, 5) == 1.0


@pytest.mark.parametrize(("guess", "count"), [(0.51, 2), (0.3, 5), (0.9, 5), (0.06, 20)])
def test_mu_is_the_largest_that_keeps_to_a_guess(guess: float, count: int) -> None:
    mu = mu_of_guess(guess, count)
    assert top_guess(mu, count) <= guess < top_guess(1.001 * mu, count)


@pytest.mark.parametrize(("guess", "count"), [(0.2, 5), (0.1, 5), (1.0, 5), (math.nan, 5), (0.9, 1)])
def test_a_guess_that_no_noise_or_none_gives_is_refused(guess: float, count: int) -> None:
    with pytest.raises(ValueError, match="the chance of naming the client"):
        mu_of_guess(guess, count)


# Several erased at once: a list of candidates, and one client that is picked


def attacked(
    means: np.ndarray, sets: Sequence[tuple[int, ...]], clients: int, draws: int, seed: int
) -> tuple[float, float]:
    """The best attacker's chances of naming the set and of picking one of it, means (sets, n) in units of the noise."""
    generator = np.random.default_rng(seed)
    holds = np.array([[client in one for one in sets] for client in range(clients)], dtype=float)  # (clients, sets)
    named = picked = 0.0
    for mean in means:
        seen = mean + generator.standard_normal((draws, means.shape[1]))
        likeness = -((seen[:, None] - means[None]) ** 2).sum(axis=-1) / 2
        posterior = np.exp(likeness - np.logaddexp.reduce(likeness, axis=1)[:, None])
        named += float(posterior.max(axis=1).mean()) / len(means)
        picked += float((posterior @ holds.T).max(axis=1).mean()) / len(means)
    return named, picked


def test_the_chance_of_a_pair_is_not_the_chance_of_one_of_them() -> None:
    """Two of five at epsilon 3, ten candidates all as far apart: 20 % and 51 %; blind 10 % and 40 %."""
    mu, sets = 1 / gaussian_sigma(3.0, 1e-5), list(combinations(range(5), 2))
    named, picked = attacked(np.eye(10) * mu / math.sqrt(2), sets, 5, 40_000, seed=1)
    assert top_guess(mu, 10) == pytest.approx(0.2013, abs=1e-4)
    assert named == pytest.approx(top_guess(mu, 10), abs=2e-3)
    assert picked == pytest.approx(0.508, abs=2e-3)
    assert picked < pick_guess(mu, 5, 2) < 0.573


@pytest.mark.parametrize("clients", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("mu", [0.1, 0.7, 1.7, 3.0])
def test_nobody_picks_an_erased_client_more_often_than_the_bound(clients: int, mu: float) -> None:
    """Candidates that add up by clients, in a simplex, in clusters that the pick is made for, and at random."""
    generator = np.random.default_rng(clients)
    for erased in range(1, clients):
        sets = list(combinations(range(clients), erased))
        holds = np.array([[float(client in one) for client in range(clients)] for one in sets])
        clusters = np.array([np.eye(clients)[min(one)] for one in sets])
        for means in (holds, np.eye(len(sets)), clusters, holds[:, :1], generator.standard_normal((len(sets), 3))):
            widest = float(np.linalg.norm(means[:, None] - means[None], axis=-1).max())
            named, picked = attacked(mu * means / widest, sets, clients, 1500, seed=erased)
            assert picked <= pick_guess(mu, clients, erased) + 0.015, (erased, picked)
            assert named <= top_guess(mu, len(sets)) + 0.015
        assert erased / clients < pick_guess(mu, clients, erased) <= 1
        assert top_guess(mu, len(sets)) <= pick_guess(mu, clients, erased) + 1e-12


def test_half_of_four_are_picked_as_often_as_the_bound_says() -> None:
    """By an attacker who was told that it is one of two pairs without a common client: what the bound allows for."""
    _, picked = attacked(np.array([[0.75], [-0.75]]), [(0, 1), (2, 3)], 4, 200_000, seed=0)
    assert picked == pytest.approx(pick_guess(1.5, 4, 2), abs=2e-3)


@pytest.mark.parametrize(("candidates", "listed"), [(5, 2), (10, 4), (7, 6)])
def test_a_list_holds_the_true_one_as_often_as_in_a_simulation(candidates: int, listed: int) -> None:
    mu, trials, generator = 1.1, 100_000, np.random.default_rng(listed)
    seen = generator.standard_normal((trials, candidates))
    seen[:, 0] += mu / math.sqrt(2)  # the true one, on a simplex
    hits = float(((seen[:, 1:] > seen[:, :1]).sum(axis=1) < listed).mean())
    assert top_guess(mu, candidates, listed) == pytest.approx(hits, abs=4 * math.sqrt(0.25 / trials))
    assert top_guess(0.0, candidates, listed) == pytest.approx(listed / candidates)
    assert top_guess(mu, listed, listed) == 1.0


@pytest.mark.parametrize(("clients", "erased"), [(5, 1), (5, 2), (5, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
def test_what_epsilon_alone_allows_a_pick_by_brute_force(clients: int, erased: int, epsilon: float) -> None:
    """Over all mechanisms, as a linear programme: which client is picked is all that the outcome has to say."""
    sets = list(combinations(range(clients), erased))
    place = {pair: index for index, pair in enumerate((one, pick) for one in sets for pick in range(clients))}
    hits = np.array([-float(pick in one) / len(sets) for one, pick in place])
    rows = []
    for one, other, pick in ((a, b, pick) for a in sets for b in sets for pick in range(clients) if a != b):
        row = np.zeros(len(place))
        row[place[one, pick]], row[place[other, pick]] = 1.0, -math.exp(epsilon)
        rows.append(row)
    sums = np.array([[float(at[0] == one) for at in place] for one in sets])
    best = linprog(hits, A_ub=np.array(rows), b_ub=np.zeros(len(rows)), A_eq=sums, b_eq=np.ones(len(sets)))
    held, missed = math.comb(clients - 1, erased - 1), math.comb(clients - 1, erased)
    bound = math.exp(epsilon) * held / (math.exp(epsilon) * held + missed)
    assert guess_bound(epsilon, 0.0, clients, erased) == pytest.approx(bound, rel=1e-12)
    assert -best.fun == pytest.approx(bound, rel=1e-6)


@given(mu=st.floats(0.05, 5.0), epsilon=st.floats(0.01, 12.0), clients=st.integers(2, 12), data=st.data())
def test_a_pick_is_below_what_epsilon_alone_says(mu: float, epsilon: float, clients: int, data: st.DataObject) -> None:
    erased = data.draw(st.integers(1, clients - 1))
    delta = gaussian_delta(epsilon, 1 / mu)
    assert pick_guess(mu, clients, erased) <= guess_bound(epsilon, delta, clients, erased) + 1e-9


@pytest.mark.parametrize(("guess", "clients", "erased"), [(0.41, 5, 2), (0.6, 5, 2), (0.7, 4, 2), (0.95, 20, 7)])
def test_mu_of_a_pick_keeps_to_both_chances(guess: float, clients: int, erased: int) -> None:
    mu = mu_of_guess(guess, clients, erased)
    assert pick_guess(mu, clients, erased) <= guess < pick_guess(1.001 * mu, clients, erased)
    assert top_guess(mu, math.comb(clients, erased)) <= guess


def test_a_pick_below_the_blind_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"above 2 / 5 = 0\.4, the chance of blindly picking one of the 2 among 5"):
        mu_of_guess(0.4, 5, 2)


# What delta is


@pytest.mark.parametrize(("epsilon", "times"), [(0.5, 28.6), (1.0, 16.1), (3.0, 6.9), (8.0, 3.6)])
def test_odds_exceed_epsilon_far_more_often_than_delta(epsilon: float, times: float) -> None:
    sigma = gaussian_sigma(epsilon, 1e-5)
    assert exceeded(epsilon, 1 / sigma) / 1e-5 == pytest.approx(times, abs=0.05)
    mu, draws = 1.3, 400_000
    loss = mu * (mu + np.random.default_rng(0).standard_normal(draws)) - mu**2 / 2  # log p(x) / q(x), x from p
    assert exceeded(epsilon, mu) == pytest.approx(float((loss > epsilon).mean()), abs=4e-3)
    assert exceeded(epsilon, 0.0) == 0.0
