# SPDX-License-Identifier: MIT
"""Clients and patients come and go: the sums lead to the model of who is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.ridge import PENALTIES, RidgeHead, solve
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.closed_form.statistics import Statistics
from fedlethe.closed_form.sums import LIMIT, Sums, fit
from fedlethe.errors import FedletheError
from tests.closed_form.by_rows import Rows, errors_left_out, joined, least

WEIGHTS = (1.9, 0.67)
FIXED = ClosedFormSettings(penalty=0.1, class_weights=WEIGHTS)
CLIENTS, PATIENTS, SIZE = 6, 5, 7


def rows(client: int, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Four rows of a patient; means far from zero beside the deviations, which rounding likes."""
    generator = np.random.default_rng(10 * client + patient)
    labels = np.array([0, 1, 0, 1])
    features = generator.normal(0, [1, 3, 0.2, 1, 1, 2, 1], (4, SIZE)) + labels[:, None] + 20
    return features.astype(np.float32), labels


def of(client: int, patients: set[int]) -> ByClass:
    parts = [rows(client, patient) for patient in sorted(patients)]
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ByClass.of(x, y, 2)


def unlike(client: int, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose classes are shared out, scaled and separated differently at every client; some have one class."""
    generator = np.random.default_rng(100 + 10 * client + patient)
    labels = (generator.random(9) < (0.0, 0.05, 0.5, 0.9, 1.0, 0.3)[client]).astype(np.int64)
    scale = (0.1, 1, 5, 1, 1, 30)[client]
    features = scale * generator.normal(0, 1, (9, SIZE)) + labels[:, None] * np.arange(SIZE) * (client - 2) / 3
    return features.astype(np.float32), labels


def retrained(clients: list[Rows], settings: ClosedFormSettings) -> tuple[RidgeHead, float, tuple[float, ...]]:
    """A training on the rows of each client, weighted as rows, that shares no code of the choices."""
    x, y = joined(clients)
    counts = np.bincount(y, minlength=2)
    weights = settings.class_weights or tuple(float(f"{len(y) / (2 * max(count, 1)):.2g}") for count in counts)
    whole = Statistics.of(x, y, weights)
    folds = [list(range(first, len(clients), 5)) for first in range(min(len(clients), 5))]
    errors = errors_left_out(clients, folds, np.array(weights)) if len(clients) > 2 else {}
    if not errors:
        errors = {penalty: solve(whole, penalty).score for penalty in PENALTIES}
        penalty = min(errors, key=lambda one: errors[one])
    else:
        penalty = least(errors)
    penalty = settings.penalty or penalty
    return solve(whole, penalty), penalty, weights


moves = st.lists(st.tuples(st.integers(0, CLIENTS - 1), st.integers(0, PATIENTS)), min_size=50, max_size=50)


@settings(max_examples=40, deadline=None)
@given(
    moves=moves,
    made=st.sampled_from([rows, unlike]),
    chosen=st.sampled_from(
        [ClosedFormSettings(), ClosedFormSettings(penalty=0.1), ClosedFormSettings(class_weights=WEIGHTS)]
    ),
)
def test_after_fifty_joins_erasures_and_returns_it_is_a_training_of_who_is_left(
    moves: list[tuple[int, int]], made: Callable[[int, int], Rows], chosen: ClosedFormSettings
) -> None:
    def of(client: int, patients: set[int]) -> ByClass:
        x, y = joined([made(client, patient) for patient in sorted(patients)])
        return ByClass.of(x, y, 2)

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
    whole = total([of(client, there[client]) for client in sorted(there)])
    if (whole.rows == 0).any():
        return  # no model of one class
    found = fit(sums, chosen, lambda: (of(client, there[client]) for client in sorted(there)))
    parts = [joined([made(client, patient) for patient in sorted(there[client])]) for client in sorted(there)]
    head, penalty, weights = retrained(parts, chosen)
    assert (found.choice.penalty, found.choice.class_weights) == (penalty, weights)
    assert found.head.difference(head) <= 1e-8


def test_choices_are_made_anew_when_an_unlike_client_leaves() -> None:
    everybody = set(range(PATIENTS))
    parts = {
        client: ByClass.of(*joined([unlike(client, k) for k in sorted(everybody)]), classes=2)
        for client in range(CLIENTS)
    }
    sums = Sums.of(list(parts.values()))
    before = fit(sums, ClosedFormSettings(), lambda: iter(parts.values()))
    left = sums.minus(parts[4]).minus(parts[5])
    after = fit(left, ClosedFormSettings(), lambda: (parts[client] for client in range(4)))
    head, penalty, weights = retrained(
        [joined([unlike(client, k) for k in everybody]) for client in range(4)], ClosedFormSettings()
    )
    assert (after.choice.penalty, after.choice.class_weights) == (penalty, weights)
    assert (after.choice.penalty, after.choice.class_weights) != (before.choice.penalty, before.choice.class_weights)
    assert after.head.difference(head) <= 1e-8
    kept = solve(left.total.weighted(before.choice.class_weights), before.choice.penalty)
    assert kept.difference(head) > 0.01  # what the choices with the erased among the others led to


def test_sums_are_made_again_where_rounding_could_show() -> None:
    everybody = set(range(PATIENTS))
    huge = ByClass.of(rows(5, 0)[0] * np.float32(1e7), rows(5, 0)[1], 2)  # beside it the others are lost in rounding
    parts = [of(client, everybody) for client in range(2)]
    sums = Sums.of(parts).plus(huge).minus(huge)
    careless = solve(sums.total.weighted(WEIGHTS), 0.1).difference(solve(total(parts).weighted(WEIGHTS), 0.1))
    assert careless > LIMIT
    found = fit(sums, FIXED, lambda: iter(parts))
    assert found.rebuilt
    assert found.head.difference(solve(total(parts).weighted(WEIGHTS), 0.1)) == 0
    assert not fit(found.sums.plus(parts[0]).minus(parts[0]), FIXED, lambda: pytest.fail("not needed")).rebuilt


def test_the_bound_is_above_what_rounding_did() -> None:
    everybody = set(range(PATIENTS))
    sums = Sums.of([of(client, everybody) for client in range(CLIENTS)])
    for _ in range(30):
        sums = sums.minus(of(3, everybody)).plus(of(3, everybody))
    found = fit(sums, FIXED, lambda: pytest.fail("not needed"))
    whole = total([of(client, everybody) for client in range(CLIENTS)])
    real = found.head.difference(solve(whole.weighted(WEIGHTS), 0.1))
    assert real <= found.bound <= LIMIT


def test_nobody_is_taken_away_who_is_not_there() -> None:
    sums = Sums.of([of(0, {0})])
    with pytest.raises(FedletheError, match="never in them"):
        sums.minus(of(1, {0, 1}))
    with pytest.raises(FedletheError, match="do not fit"):
        sums.plus(ByClass.nothing(3, 2))
