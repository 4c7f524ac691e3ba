# SPDX-License-Identifier: MIT
"""The unlearning step: what it gives is what the method makes, or a retraining less some patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fedlethe.data.federated import SPLITS, ClientData
from fedlethe.erasing.order import order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.unlearn_step import unlearned_by, unlearned_for
from fedlethe.federation.metered import Meter
from fedlethe.runs.run import OpenRun


def with_patients(run: OpenRun) -> OpenRun:
    """The same run, three images of a split for each patient: '0', '0', '0', '1', ..."""
    clients = {}
    for client, held in run.data.clients.items():
        splits = (held.split(split) for split in SPLITS)
        grouped = [replace(one, groups=np.array([str(place // 3) for place in range(len(one))])) for one in splits]
        clients[client] = ClientData(*grouped)
    return replace(run, data=replace(run.data, clients=clients))


def test_an_order_for_whole_clients_is_the_methods_step(run: OpenRun) -> None:
    order = order_for(run.config, ("hospital-1",), ErasurePlan(method="influence"))
    meter = Meter()
    found = unlearned_for(run, order, run.history, meter)
    assert torch.equal(found.model, unlearned_by(run, ("hospital-1",), order.method, run.history, Meter()).model)
    assert meter.cost().examples == 0


def test_retraining_without_patients_keeps_the_rest_of_their_client(run: OpenRun) -> None:
    run = with_patients(run)
    whole, few = Meter(), Meter()
    patients = {"hospital-1": ("0",)}
    order = order_for(run.config, ("hospital-1",), ErasurePlan(method="retrain"), patients)
    found = unlearned_for(run, order, run.history, few)
    assert found.guarantee is not None
    assert "1 patient of hospital-1" in found.guarantee.statement
    unlearned_by(run, ("hospital-1",), order.method, run.history, whole)
    assert "hospital-1" in few.clients
    assert "hospital-1" not in whole.clients
    rest = len(run.data.clients["hospital-1"].train) - 3
    assert few.examples - whole.examples == 2 * run.config.local.epochs * rest


def test_any_other_method_takes_their_client_out_as_a_whole(run: OpenRun) -> None:
    run = with_patients(run)
    order = order_for(run.config, ("hospital-1",), ErasurePlan(method="influence"), {"hospital-1": ("0",)})
    whole = unlearned_by(run, ("hospital-1",), order.method, run.history, Meter()).model
    assert torch.equal(unlearned_for(run, order, run.history, Meter()).model, whole)
