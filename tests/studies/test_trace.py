# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.runs.run import OpenRun
from fedlethe.studies.trace import saved_traces, trace


def test_it_erases_after_each_round_as_if_training_had_ended_there(studied: OpenRun) -> None:
    method = studied.config.method("influence", {})
    found = trace(studied, "influence", method, "hospital-1")
    assert [point.round for point in found.points] == [0, 1, 2, 3]
    assert found.points[0].unlearned == found.points[0].trained  # nobody has trained yet
    assert [point.trained for point in found.points] == [
        studied.evaluate(studied.history.global_model(round)) for round in range(4)
    ]
    last = unlearned_by(studied, ["hospital-1"], method, studied.past(), Meter()).model
    assert found.points[3].unlearned == studied.evaluate(last)


def test_every_client_s_trace_is_kept_beside_the_others(studied: OpenRun) -> None:
    made = [trace(studied, "influence", studied.config.method("influence", {}), f"hospital-{n}") for n in (2, 0)]
    held = {one.client: one for one in saved_traces(studied.history)}
    assert held["hospital-0"] == made[1]
    assert held["hospital-2"] == made[0]


def test_a_client_that_is_not_there_is_refused(studied: OpenRun) -> None:
    with pytest.raises(FedletheError, match="hospital-9"):
        trace(studied, "influence", studied.config.method("influence", {}), "hospital-9")


def test_a_closed_form_has_one_round_and_no_trace(studied: OpenRun) -> None:
    config = replace(studied.config, learning=resolve({"learner": "closed-form"}).learning)
    with pytest.raises(FedletheError, match="was trained in closed form, in one round"):
        trace(replace(studied, config=config), "influence", studied.config.method("influence", {}), "hospital-0")
