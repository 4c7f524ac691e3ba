# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fedlethe.closed_form.by_class import ByClass, total
from fedlethe.closed_form.choices import START, Choice, _down_from, decide
from fedlethe.closed_form.ridge import PENALTIES, choose, solve
from fedlethe.closed_form.settings import ClosedFormSettings
from tests.closed_form.by_rows import errors_left_out, least


def rows_of(counts: tuple[int, ...], seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = generator.standard_normal((len(labels), 3)) + labels[:, None]
    return features.astype(np.float32), labels.astype(np.int64)


def sums(counts: tuple[int, ...], seed: int = 0) -> ByClass:
    return ByClass.of(*rows_of(counts, seed), len(counts))


def chosen_of(*clients: ByClass, settings: ClosedFormSettings | None = None) -> Choice:
    rows = np.sum([client.rows for client in clients], axis=0)
    return decide(rows, lambda: iter(clients), settings or ClosedFormSettings())


def test_classes_are_balanced_by_their_counts_to_two_digits() -> None:
    # 40 rows of 3 classes: 40 / (3 x 7) = 1.905, 40 / (3 x 30) = 0.444, 40 / (3 x 3) = 4.444.
    assert chosen_of(sums((7, 30, 3))).class_weights == (1.9, 0.44, 4.4)


def test_a_class_without_rows_is_weighed_as_if_it_had_one() -> None:
    assert chosen_of(sums((4, 4, 0))).class_weights == (0.67, 0.67, 2.7)  # 8 / (3 x 1)


@pytest.mark.parametrize("parts", [[(30, 10)], [(20, 4), (10, 6)]])
def test_with_one_client_or_two_the_penalty_leaves_one_row_out(parts: list[tuple[int, int]]) -> None:
    clients = [sums(counts, seed) for seed, counts in enumerate(parts)]
    chosen, held = chosen_of(*clients), total(clients)
    scores = {penalty: solve(held.weighted(chosen.class_weights), penalty).score for penalty in PENALTIES}
    assert dict(chosen.scores) == scores
    assert chosen.penalty == min(scores, key=lambda penalty: scores[penalty])
    assert dict(chosen.scores) != choose(held.weighted((1.0, 1.0)))[1]  # the weights matter to the scores


@pytest.mark.parametrize(("clients", "folds"), [(4, [[0], [1], [2], [3]]), (7, [[0, 5], [1, 6], [2], [3], [4]])])
def test_the_penalty_errs_least_at_clients_that_were_left_out(clients: int, folds: list[list[int]]) -> None:
    rows = [rows_of((12, 5 + client), seed=client) for client in range(clients)]
    chosen = chosen_of(*(ByClass.of(*one, 2) for one in rows))
    _demand_least(chosen, errors_left_out(rows, folds, np.array(chosen.class_weights)))


def _demand_least(chosen: Choice, errors: dict[float, float]) -> None:
    """It errs least of those that were tried, its neighbours among them."""
    assert dict(chosen.scores) == pytest.approx({penalty: errors[penalty] for penalty in chosen.scores})
    assert chosen.penalty == least(errors)
    place = PENALTIES.index(chosen.penalty)
    assert {*PENALTIES[max(place - 1, 0) : place + 2]} <= {*chosen.scores}


@pytest.mark.parametrize(
    ("scores", "tried"),
    [
        ([9, 8, 7, 6, 5, 6, 0, 0, 0], [3, 4, 5]),  # the least is where it began, or what lies behind a hill is not seen
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], [4, 5, 6, 7, 8]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4, 5]),
        ([9, 8, 7, 6, 5, 4, 3, 4, 0], [4, 5, 6, 7]),
        ([9, 8, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5]),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], [3, 4, 5]),
    ],
)
def test_penalties_are_tried_downhill(scores: list[float], tried: list[int]) -> None:
    by_penalty = dict(zip(PENALTIES, scores, strict=True))
    found = _down_from(START, lambda penalty: by_penalty[penalty])
    assert found == {PENALTIES[index]: scores[index] for index in tried}
    assert min(sorted(found, key=lambda one: abs(one - 0.1)), key=lambda one: found[one]) == least(by_penalty)


def test_where_clients_are_unlike_the_penalty_is_larger_than_a_row_left_out_says() -> None:
    """Each client has a shift of its own in what its classes differ by, as sites with other devices have."""
    parts = []
    for client in range(4):
        generator = np.random.default_rng(client)
        labels = np.repeat([0, 1], 200)
        tell = generator.standard_normal(20) + 0.4  # by client: which features tell the classes apart
        features = generator.standard_normal((400, 20)) + labels[:, None] * tell
        parts.append(ByClass.of(features.astype(np.float32), labels.astype(np.int64), 2))
    by_rows = choose(total(parts).weighted((1.0, 1.0)))[0]
    assert chosen_of(*parts).penalty > by_rows


def test_clients_of_one_class_are_left_out_where_others_have_both() -> None:
    rows = [rows_of((10, 10)), rows_of((12, 5), seed=1), rows_of((9, 0), seed=2), rows_of((0, 4), seed=3)]
    chosen = chosen_of(*(ByClass.of(*one, 2) for one in rows))
    _demand_least(chosen, errors_left_out(rows, [[0], [1], [2], [3]], np.array(chosen.class_weights)))


@pytest.mark.parametrize(
    "counts",
    [
        [(12, 0), (0, 9), (0, 0)],  # nobody with rows can be left out
        [(10, 10), (12, 0), (9, 0)],  # two can, and show one class
    ],
)
def test_where_those_left_out_show_one_class_a_row_is_left_out(counts: list[tuple[int, int]]) -> None:
    clients = [sums(own, seed) for seed, own in enumerate(counts)]
    chosen = chosen_of(*clients, settings=ClosedFormSettings(class_weights=(1.0, 1.0)))
    assert chosen.penalty == choose(total(clients).weighted((1.0, 1.0)))[0]


def test_what_the_user_fixed_stays() -> None:
    held = sums((30, 10))
    fixed = decide(
        held.rows, lambda: pytest.fail("not needed"), ClosedFormSettings(penalty=0.25, class_weights=(1.0, 7.0))
    )
    assert (fixed.penalty, fixed.class_weights, dict(fixed.scores)) == (0.25, (1.0, 7.0), {})
    weighed = chosen_of(held, settings=ClosedFormSettings(class_weights=(1.0, 7.0)))
    assert (weighed.penalty, weighed.class_weights) == (choose(held.weighted((1.0, 7.0)))[0], (1.0, 7.0))
