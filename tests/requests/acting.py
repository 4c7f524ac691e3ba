# SPDX-License-Identifier: MIT
"""Small runs whose erasure requests are carried out in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image

from fedlethe.cli.output.show import tables
from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.history import chain
from fedlethe.learners.training import train_run
from fedlethe.requests import signing
from fedlethe.requests.carry_out import Carried, carry_out
from fedlethe.requests.request import listed, open_request
from fedlethe.requests.signing import SigningKey
from fedlethe.requests.verify import Verified, verify_certificate
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
GONE, OTHER = "hospital-1", "hospital-2"
RECOMMENDED = ErasurePlan(method="recommended", options={}, mask={}, repair={})
PLAIN = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
EXACT = ErasurePlan(method="closed-form", options={}, mask={}, repair={})
CLOSED = {
    "learner": "closed-form",
    "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 24},
    "closed_form": {"dimension": 8},
}


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


def carry_out_alone(run: Path, id: str, plan: ErasurePlan | None = None) -> None:
    """Carry a request out; where its audits find something it stops."""
    with opened_run(run) as opened:
        carry_out(opened, id, plan, KEY)


def told(run: Path) -> str:
    """What the list of a run's requests says below its table."""
    return "\n".join(part for part in tables(listed(run)) if isinstance(part, str))


def signed_statement(certificate: Path) -> dict[str, Any]:
    """The statement that KEY signed."""
    found: dict[str, Any] = json.loads(signing.opened(certificate.read_bytes(), KEY.public, certificate))
    return found


def predicate(certificate: Path) -> dict[str, Any]:
    """What a certificate says, whoever signed it."""
    found: dict[str, Any] = json.loads(signing.unchecked(certificate.read_bytes(), certificate))["predicate"]
    return found


def public_key(folder: Path) -> Path:
    """The public half of KEY as a file in a folder."""
    path = folder / "key.pub"
    path.write_bytes(KEY.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def verified(run: Path, certificate: Path) -> Verified:
    """A certificate, held against its run."""
    return verify_certificate(certificate, public_key(run.parent), run)


def results(checked: Verified) -> dict[str, str]:
    """What was looked at, to its result."""
    return {check.what: check.result for check in checked.checks}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in fedlethe catches it."""


def kill_at(place: str, run: Path, act: Callable[[OpenRun], object]) -> None:
    """Do something with a run that is killed where a function would be called."""

    def killed(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, opened_run(run) as opened:
        patch.setattr(place, killed)
        with pytest.raises(Killed):
            act(opened)


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every date come."""
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")


def images_of_patients(folder: Path, seed: int, hospitals: tuple[str, ...] = ("north", "south")) -> Path:
    """Hospitals of eight patients; the images of 'north 3' are drawn from the seed, all others are the same."""
    lines = ["path,label,client,patient,split"]
    for hospital in hospitals:
        for patient in range(8):
            own = seed if (hospital, patient) == ("north", 3) else 0
            draw = np.random.default_rng([patient, hospitals.index(hospital), own])
            for image in range(3):
                pixels = draw.integers(0, 120, (16, 16)).astype(np.uint8)
                pixels[:, 4:8] += np.uint8(40 * (image % 2))
                name = f"{hospital}-{patient}-{image}.png"
                folder.mkdir(exist_ok=True)
                Image.fromarray(pixels).save(folder / name)
                lines.append(f"{name},{image % 2},{hospital},{hospital} {patient},{'test' if patient > 6 else 'train'}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


def of_table(table: Path, **more: Any) -> dict[str, Any]:
    """The configuration of a closed-form run on `images_of_patients`."""
    data = {"source": "table", "path": str(table), "size": 16, "channels": 1}
    return {**CLOSED, "data": data, "features": {"scales": 2}, **more}
