# SPDX-License-Identifier: MIT
"""Erasures that are to hide who left, and what they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import Erasure
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.federation.metered import Meter
from fedlethe.runs.run import OpenRun

HOSPITALS = tuple(f"hospital-{number}" for number in range(4))


NO_REPAIR = {"rounds": 0}


def erased(run: OpenRun, clients: Sequence[str] = ("hospital-1",), **fields: Any) -> Erasure:
    """An erasure; `mask`, `repair`, `method`, `options`, `after` and `decoys` as in `request`."""
    plan = ErasurePlan(**{"method": "influence", "options": {"clip": 0.5}, **fields})
    return erase(run, order_erasure(run, clients, plan))


def model_of(erasure: Erasure, run: OpenRun) -> torch.Tensor:
    return run.history.erased_model(erasure.id)


def candidates(run: OpenRun, **options: Any) -> list[torch.Tensor]:
    """Each hospital erased, one by one."""
    method = run.config.method("influence", {"clip": 0.5, **options})
    return [unlearned_by(run, [client], method, run.history, Meter()).model for client in HOSPITALS]
