# SPDX-License-Identifier: MIT
"""The sums of who is left: by subtraction, and the same as from scratch."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedlethe.closed_form.by_class import total
from fedlethe.errors import RequestError
from fedlethe.learners.statistics_training import statistics_at
from fedlethe.learners.sums_left import statistics_left, sums_of, trained_in
from fedlethe.runs.opening import opened_run
from tests.runs.small import HOSPITALS


def test_who_left_is_subtracted(closed: Path) -> None:
    with opened_run(closed) as run:
        (part,) = run.parts()
        left = sums_of([part.with_erased(frozenset(HOSPITALS[:1]))]).total
        scratch = total([statistics_at(run.config, run.data, client) for client in HOSPITALS[1:]])
        assert left.count == scratch.count
        weights = [1.0] * len(run.data.classes)
        ours, theirs = left.weighted(weights), scratch.weighted(weights)
        assert ours.sums == pytest.approx(theirs.sums, rel=1e-9, abs=1e-9)


def test_what_a_client_sent_is_kept_as_it_was_sent(closed: Path) -> None:
    with opened_run(closed) as run:
        (part,) = run.parts()
        assert trained_in(part) == set(HOSPITALS)
        sent = statistics_at(run.config, run.data, HOSPITALS[2])
        assert statistics_left(part, HOSPITALS[2]).content() == sent.content()


def test_two_trainings_of_the_same_clients_count_twice_and_nobody_is_refused(closed: Path) -> None:
    with opened_run(closed) as run:
        (part,) = run.parts()
        assert sums_of([part, part]).total.count == 2 * sums_of([part]).total.count
        # Who is erased after the second one is gone from the first one, too.
        gone = part.with_erased(frozenset(HOSPITALS[:1]))
        assert sums_of([part, gone]).total.count == 2 * sums_of([gone]).total.count
        with pytest.raises(RequestError, match="no client would be left"):
            sums_of([part.with_erased(frozenset(HOSPITALS))])
