# SPDX-License-Identifier: MIT
"""Patients inside a client's statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedlethe.closed_form.settings import Subtraction
from fedlethe.data.federated import FederatedData
from fedlethe.errors import RequestError
from fedlethe.learners.patients_out import patients_by_client, rows_of_patients, statistics_without
from fedlethe.learners.statistics_training import statistics_at
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from tests.runs.small import HOSPITALS


def with_patients(run: OpenRun) -> OpenRun:
    """The same run, two training images for each patient: 'hospital-0/0', 'hospital-0/0', 'hospital-0/1', ..."""
    clients = {}
    for client, held in run.data.clients.items():
        names = np.array([f"{client}/{number // 2}" for number in range(len(held.train))])
        clients[client] = replace(held, train=replace(held.train, groups=names))
    data: FederatedData = replace(run.data, clients=clients)
    return replace(run, data=data)


def test_a_patient_is_found_at_its_client_with_all_its_rows(closed: Path) -> None:
    with opened_run(closed) as opened:
        run = with_patients(opened)
        method, last = Subtraction(patients=("hospital-1/0", "hospital-1/2")), run.parts()[-1]
        assert patients_by_client(run, method, run.history) == {"hospital-1": ("hospital-1/0", "hospital-1/2")}
        found = rows_of_patients(run, method, run.history, last)
        assert list(found) == ["hospital-1"]
        assert (
            found["hospital-1"].indices.tolist() == run.data.clients["hospital-1"].train.indices[[0, 1, 4, 5]].tolist()
        )
        whole = statistics_at(run.config, run.data, "hospital-1")
        assert statistics_without(run, "hospital-1", last, method.patients).count == whole.count - 4
        assert statistics_without(run, "hospital-1", last).content() == whole.content()


def test_what_names_no_patient_takes_none_out(closed: Path) -> None:
    with opened_run(closed) as run:
        assert patients_by_client(run, Subtraction(), run.history) == {}


def test_what_cannot_be_taken_out_is_said(closed: Path) -> None:
    with opened_run(closed) as opened:
        run, last = with_patients(opened), opened.parts()[-1]
        groups = run.data.clients[HOSPITALS[0]].train.groups
        assert groups is not None
        everybody = tuple(sorted(set(groups.tolist())))
        for one, method, message in (
            (opened, Subtraction(patients=("x",)), "its data name no patients"),
            (run, Subtraction(patients=("x",)), "'x' has no image at hospital-0, hospital-1, hospital-2"),
            (run, Subtraction(patients=("hospital-0/0",), of=("hospital-1",)), "has no image at hospital-1"),
            (run, Subtraction(patients=everybody), "has no other patients; erase the client"),
            (run, Subtraction(patients=("x",), of=("nobody",)), "'nobody' is not in the model"),
        ):
            with pytest.raises(RequestError, match=message):
                rows_of_patients(one, method, one.history, last)
