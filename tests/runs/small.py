# SPDX-License-Identifier: MIT
"""The smallest runs that tests of runs, learners and erasures look at, and data that are made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fedlethe.config import resolve
from fedlethe.data.federated import ClientData, Examples, FederatedData
from fedlethe.learners.training import train_run

NETWORK: dict[str, Any] = {
    "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 24},
    "model": {"name": "small-cnn"},
    "federation": {"rounds": 2},
    "local": {"epochs": 1},
    "history": {"keep": "everything"},
    "execution": {"device": "cpu"},
}
CLOSED: dict[str, Any] = {
    "learner": "closed-form",
    "data": NETWORK["data"],
    "closed_form": {"dimension": 8},
    "execution": {"device": "cpu"},
}
HOSPITALS = ("hospital-0", "hospital-1", "hospital-2")


def trained(document: dict[str, Any], out: Path) -> Path:
    """Train into a folder."""
    train_run(resolve(document), out)
    return out


def examples(count: int, patients: str = "", first: int = 0) -> Examples:
    """So many images, each of another grey and half black, with the letters as their patients."""
    images = np.zeros((first + count, 1, 2, 2), np.uint8)
    images[:, 0, 0] = 1 + np.arange(first + count, dtype=np.uint8)[:, None]
    groups = np.array(list(patients), dtype=np.str_) if patients else None
    return Examples(images, np.arange(first, first + count), np.arange(count) % 2, groups)


def federated(**clients: Examples) -> FederatedData:
    """Clients with these training images and nothing to validate or test on."""
    clients_data = {}
    for name, train in clients.items():
        nothing = train.only(np.zeros(len(train), np.bool_))
        clients_data[name] = ClientData(train, nothing, nothing)
    return FederatedData(
        clients=clients_data,
        classes=("no", "yes"),
        image_shape=(1, 2, 2),
        source_fingerprint="made by hand",
    )
