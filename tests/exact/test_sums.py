# SPDX-License-Identifier: MIT
"""Clients and patients come and go: the sums lead to the model of who is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.errors import FedletheError
from fedlethe.exact.ridge import solve
from fedlethe.exact.statistics import Statistics, total
from fedlethe.exact.sums import LIMIT, Sums, fit

WEIGHTS = (1.9, 0.67)
CLIENTS, PATIENTS, SIZE = 6, 5, 7


def rows(client: int, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Four rows of a patient; means far from zero beside the deviations, which rounding likes."""
    generator = np.random.default_rng(10 * client + patient)
    labels = np.array([0, 1, 0, 1])
    features = generator.normal(0, [1, 3, 0.2, 1, 1, 2, 1], (4, SIZE)) + labels[:, None] + 20
    return features.astype(np.float32), labels


def of(client: int, patients: set[int]) -> Statistics:
    parts = [rows(client, patient) for patient in sorted(patients)]
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Statistics.of(x, y, WEIGHTS)


def scratch(there: dict[int, set[int]]) -> Statistics:
    """One set of statistics of all rows that are left, made at once."""
    parts = [rows(client, patient) for client in sorted(there) for patient in sorted(there[client])]
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Statistics.of(x, y, WEIGHTS)


moves = st.lists(st.tuples(st.integers(0, CLIENTS - 1), st.integers(0, PATIENTS)), min_size=50, max_size=50)


@settings(max_examples=40)
@given(moves=moves)
def test_after_fifty_joins_erasures_and_returns_it_is_a_fit_from_scratch(moves: list[tuple[int, int]]) -> None:
    everybody = set(range(PATIENTS))
    there = {0: set(everybody)}
    sums = Sums.of([of(0, everybody)])
    for client, patient in moves:
        held = there.get(client)
        if held is None:  # a client joins, or comes back
            there[client] = set(everybody)
            sums = sums.plus(of(client, everybody))
        elif patient in held and len(held) > 1:  # one of its patients leaves
            there[client] = held - {patient}
            sums = sums.minus(of(client, {patient}))
        elif len(there) > 1:  # the client leaves, with the patients that it still has
            sums = sums.minus(of(client, held))
            del there[client]
    found = fit(sums, 0.1, lambda: total([of(client, there[client]) for client in sorted(there)]))
    expected = solve(scratch(there), 0.1)
    assert found.head.difference(expected) <= 1e-8
    x = np.concatenate([rows(client, patient)[0] for client in range(CLIENTS) for patient in range(PATIENTS)])
    logits, others = (head.logits(x.astype(np.float64)) for head in (found.head, expected))
    odds, other = (1 / (1 + np.exp(one[:, 0] - one[:, 1])) for one in (logits, others))
    assert np.abs(odds - other).max() <= 1e-6


def test_sums_are_made_again_where_rounding_could_show() -> None:
    everybody = set(range(PATIENTS))
    huge = Statistics.of(
        rows(5, 0)[0] * np.float32(1e7), rows(5, 0)[1], WEIGHTS
    )  # beside it the others are lost in rounding
    parts = [of(client, everybody) for client in range(2)]
    sums = Sums.of(parts).plus(huge).minus(huge)
    careless = solve(sums.total, 0.1).difference(solve(total(parts), 0.1))
    assert careless > LIMIT
    found = fit(sums, 0.1, lambda: total(parts))
    assert found.rebuilt
    assert found.head.difference(solve(total(parts), 0.1)) == 0
    assert not fit(found.sums.plus(parts[0]).minus(parts[0]), 0.1, lambda: pytest.fail("not needed")).rebuilt


def test_the_bound_is_above_what_rounding_did() -> None:
    everybody = set(range(PATIENTS))
    sums = Sums.of([of(client, everybody) for client in range(CLIENTS)])
    for _ in range(30):
        sums = sums.minus(of(3, everybody)).plus(of(3, everybody))
    found = fit(sums, 0.1, lambda: pytest.fail("not needed"))
    real = found.head.difference(solve(total([of(client, everybody) for client in range(CLIENTS)]), 0.1))
    assert real <= found.bound <= LIMIT


def test_nobody_is_taken_away_who_is_not_there() -> None:
    sums = Sums.of([of(0, {0})])
    with pytest.raises(FedletheError, match="never in them"):
        sums.minus(of(1, {0, 1}))
    with pytest.raises(FedletheError, match="do not fit"):
        sums.plus(Statistics.nothing(3, 2))
