# SPDX-License-Identifier: MIT
"""A network and data of a program's own, and what is read of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def arrays(seed: int, count: int = 40) -> Arrays:
    generator = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return generator.normal(y[:, None], 1.0, (count, 5)).astype(np.float32), y


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 2)


def weights(model: nn.Module) -> list[float]:
    return [value for parameter in model.parameters() for value in parameter.flatten().tolist()]


def not_reached(certificate: Path) -> list[str]:
    from fedlethe.requests.signing import unchecked

    found: list[str] = json.loads(unchecked(certificate.read_bytes(), certificate))["predicate"]["purge"]["not_reached"]
    return found


PHANTOM = {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 20}
