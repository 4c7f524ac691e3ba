# SPDX-License-Identifier: MIT
"""Small runs whose erasure requests are carried out in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.learners.training import train_run
from fedlethe.requests.carry_out import Carried, carry_out
from fedlethe.requests.request import open_request
from fedlethe.requests.signing import SigningKey
from fedlethe.runs.opening import opened_run

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RECOMMENDED = ErasurePlan(method="recommended", options={}, mask={}, repair={})


def document(hospitals: int = 4, rounds: int = 3, **tables: Any) -> dict[str, Any]:
    """The configuration of a small run of synthetic hospitals, all of its history kept."""
    return {
        "data": {"source": "phantom", "size": 16, "hospitals": hospitals, "images_per_hospital": 40},
        "federation": {"rounds": rounds},
        "local": {"epochs": 1, "learning_rate": 0.05},
        "history": {"keep": "everything"},
        **tables,
    }


def trained(out: Path, document: dict[str, Any]) -> Path:
    """Train into a folder."""
    train_run(resolve(document), out)
    return out


def request(run: Path, *clients: str, patients: Sequence[str] = (), reason: str = "withdrew") -> str:
    """Open a request; its id."""
    with opened_run(run) as opened:
        return open_request(opened, clients, patients, reason, "the tests").id


def carry(run: Path, id: str, plan: ErasurePlan | None = None) -> Carried:
    """Carry a request out, whatever its audits find."""
    with opened_run(run) as opened:
        carried = carry_out(opened, id, plan, KEY)
        if carried.request.stopped:
            carried = carry_out(opened, id, None, KEY, accepted={"why": "it is a test", "by": "the tests"})
        return carried


def erased(run: Path, *clients: str, plan: ErasurePlan | None = None, patients: Sequence[str] = ()) -> Carried:
    """Open a request and carry it out."""
    return carry(run, request(run, *clients, patients=patients), plan)


def certified(carried: Carried) -> Path:
    """The certificate of a request that did not stop."""
    assert carried.certificate is not None
    return carried.certificate
