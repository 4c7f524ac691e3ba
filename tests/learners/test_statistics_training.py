# SPDX-License-Identifier: MIT
"""The one round of a closed-form federation: what is sent, kept and solved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fedlethe.closed_form.by_class import total
from fedlethe.closed_form.ridge import RidgeHead
from fedlethe.config import resolve
from fedlethe.errors import RequestError
from fedlethe.learners.statistics_training import (
    closed_form_settings,
    demand_fitting,
    features_of_training,
    retrain_closed_form,
    statistics_at,
    vector_of,
)
from fedlethe.runs.opening import opened_run
from fedlethe.runs.preparing import prepare
from tests.runs.small import CLOSED, HOSPITALS


def test_what_was_chosen_is_kept_and_no_score_of_it(closed: Path) -> None:
    kept = json.loads((closed / "statistics/chosen.json").read_text())
    assert set(kept) == {"class_weights", "penalty"}
    with opened_run(closed) as run:
        assert features_of_training(run.history).size == run.data.image_shape[0] == 8


def test_a_head_is_written_into_the_vector_as_the_network_reads_it(closed: Path) -> None:
    with opened_run(closed) as run:
        classes, size = len(run.data.classes), run.data.image_shape[0]
        weight = np.arange(classes * size, dtype=np.float64).reshape(classes, size)
        vector = vector_of(run.layout, RidgeHead(weight, np.full(classes, -1.0), score=0.0, sensitivity=np.zeros(size)))
        assert torch.equal(run.layout.tensors(vector)["weight"], torch.from_numpy(weight).float())
        assert run.layout.tensors(vector)["bias"].tolist() == [-1.0] * classes


def test_sums_do_not_depend_on_who_sent_first(closed: Path) -> None:
    with opened_run(closed) as run:
        parts = [statistics_at(run.config, run.data, client) for client in HOSPITALS]
        assert total(parts).count == sum(len(run.data.clients[client].train) for client in HOSPITALS)
        assert torch.equal(retrain_closed_form(run, HOSPITALS), retrain_closed_form(run, HOSPITALS[::-1]))


def test_one_weight_for_each_class() -> None:
    prepared = prepare(resolve({**CLOSED, "closed_form": {"dimension": 8, "class_weights": [1.0, 1.0, 1.0, 2.0, 3.0]}}))
    with pytest.raises(RequestError, match=r"5 weights for \d classes"):
        closed_form_settings(prepared.config, prepared.data)


def test_it_goes_on_from_the_same_features_alone(closed: Path) -> None:
    with opened_run(closed) as run:
        demand_fitting(run, run.parts())
        other = prepare(resolve({**CLOSED, "closed_form": {"dimension": 4}}))
        with pytest.raises(RequestError, match="was trained on other features"):
            demand_fitting(replace(other), run.parts())
