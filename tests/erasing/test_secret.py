# SPDX-License-Identifier: MIT
"""The secret of a mask after the purge: the attacker has all that is left, and cannot take the noise off again."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedlethe.erasing.erase import erase
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.planning import order_erasure
from fedlethe.erasing.record import Erasure, recorded
from fedlethe.erasing.secret import MASKS
from fedlethe.erasing.unlearn_step import unlearned_by
from fedlethe.errors import FedletheError
from fedlethe.federation.metered import Meter
from fedlethe.history.sealing import Key, Keys
from fedlethe.privacy.noise import SecretNoise
from fedlethe.privacy.span import Span
from fedlethe.runs.opening import opened_run
from tests.requests import acting

MASKED = ErasurePlan(method="influence", options={"clip": 0.5}, mask={"epsilon": 3.0}, repair={})
HOSPITALS = tuple(f"hospital-{number}" for number in range(4))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All secrets of masks that are made, as they are made."""
    made: list[bytes] = []

    def create(keys: Keys, client: str, key: Key | None = None, plain: Any = Keys.create) -> Key:
        new: Key = plain(keys, client, key)
        if client == MASKS:
            made.append(new.secret)
        return new

    monkeypatch.setattr(Keys, "create", create)
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four hospitals, everything kept."""
    return acting.trained(tmp_path / "run", acting.document(rounds=2))


def what_is_left(*folders: Path) -> Iterator[bytes]:
    """The content of every file."""
    for folder in folders:
        yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def every_secret(*folders: Path) -> set[bytes]:
    """Whatever may be a secret: short files, and texts of base64 or hexadecimal, of 32 bytes."""
    found = set()
    for content in what_is_left(*folders):
        found |= {content[start : start + 32] for start in range(len(content) - 31 if len(content) < 200 else 0)}
        found |= {base64.b64decode(text) for text in re.findall(rb"(?<![\w+/])[A-Za-z0-9+/]{43}=", content)}
        found |= {bytes.fromhex(text.decode()) for text in re.findall(rb"(?<![\da-f])[\da-f]{64}(?![\da-f])", content)}
    return {secret for secret in found if len(secret) == 32}


class Observer:
    """Whoever saw the run before: all candidates are known, and who was erased is not."""

    def __init__(self, run: Path) -> None:
        with opened_run(run) as opened:
            method = opened.config.method("influence", {"clip": 0.5})
            self.span = Span.of(
                [unlearned_by(opened, [client], method, opened.history, Meter()).model for client in HOSPITALS]
            )

    def named(self, model: torch.Tensor, erasure: Erasure, secret: bytes) -> list[str]:
        """Those from whose candidate the noise of this secret leads to the model."""
        assert erasure.hidden is not None
        noise = SecretNoise(secret, "mask", json.dumps(erasure.request, sort_keys=True)).standard_normal(self.span.rank)
        (point,) = self.span.project([model])
        off = np.linalg.norm(point - erasure.hidden.sigma * noise - self.span.coordinates, axis=1)
        return [client for client, far in zip(HOSPITALS, off, strict=True) if far < 1e-3 * erasure.hidden.sigma]


def test_after_the_purge_the_noise_cannot_be_drawn_again_and_taken_off(
    run: Path, tmp_path: Path, drawn: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("FEDLETHE_KEYS", str(keys))
    run = acting.trained(tmp_path / "with keys apart", acting.document(rounds=2))
    observer = Observer(run)
    erasure = acting.erased(run, "hospital-2", plan=MASKED).erasure
    with opened_run(run) as opened:
        model = opened.history.erased_model(erasure.id)
    left = every_secret(run, keys)
    assert len(left) > 3  # the other hospitals' keys, hashes
    assert [observer.named(model, erasure, secret) for secret in left if observer.named(model, erasure, secret)] == []
    (secret,) = [secret for secret in drawn if observer.named(model, erasure, secret)]  # the attack itself works
    assert observer.named(model, erasure, secret) == ["hospital-2"]
    for content in what_is_left(run, keys):
        assert not any(form in content for form in (secret, secret.hex().encode(), base64.b64encode(secret)))


def test_every_erasure_has_a_secret_of_its_own_and_none_outlives_it(run: Path, drawn: list[bytes]) -> None:
    """Masks of plain erasures, decoys and the few who repair, one after the other in one run."""
    before = len(drawn)
    with opened_run(run) as opened:
        few = {"rounds": 1, "clients": 1}
        for mask, repair, decoys in ({"epsilon": 3.0}, {}, 0), ({"epsilon": 2.0}, few, 0), ({}, {}, 1), ({}, few, 0):
            built = order_erasure(
                opened, ["hospital-1"], ErasurePlan(method="influence", mask=mask, repair=repair, decoys=decoys)
            )
            erase(opened, built)
    made = drawn[before:]
    assert len(made) == 4
    for content in what_is_left(run):
        assert not any(form in content for one in made for form in (one, base64.b64encode(one)))


def test_the_secret_of_an_erasure_that_was_given_up_goes_with_the_purge(
    run: Path, drawn: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_run(run) as opened, monkeypatch.context() as patch:
        patch.setattr(opened.history.ledger, "add_erasure", _full)
        built = order_erasure(
            opened, ["hospital-1"], ErasurePlan(method="influence", options={"clip": 0.5}, mask={"epsilon": 3.0})
        )
        with pytest.raises(OSError, match="no more"):
            erase(opened, built)
    given_up = drawn[-1]
    assert base64.b64encode(given_up) in b"".join(what_is_left(run))
    acting.erased(run, "hospital-1")  # in another way, which draws nothing
    assert base64.b64encode(given_up) not in b"".join(what_is_left(run))


def _full(*_: object) -> None:
    raise OSError("no more")


def test_the_certificate_and_the_requests_tell_both_chances_and_that_no_secret_is_left(run: Path) -> None:
    carried = acting.erased(run, "hospital-0", "hospital-2", plan=MASKED)
    content = json.loads(acting.certified(carried).read_bytes())
    predicate = json.loads(base64.b64decode(content["payload"]))["predicate"]
    figures, hidden = predicate["hiding"]["figures"], carried.erasure.hidden
    assert hidden is not None
    assert (figures["guess"], figures["hit"]) == (hidden.guess, hidden.hit)
    assert (figures["guess_blind"], figures["hit_blind"]) == (1 / 6, 1 / 2)
    assert predicate["hiding"]["words"][0] == hidden.statement == carried.request.hiding[0]
    assert "blind, 2 of 4: 50.0 %" in hidden.statement
    assert predicate["secrets"]["left"] == []
    assert predicate["secrets"]["words"].startswith(
        "Drawn from a secret of this erasure's own: noise. Who has it can draw the same again, and take the noise off. "
        "When this was written, the folders of the run's keys held no such secret."
    )


@pytest.mark.parametrize(
    ("plan", "drawn"),
    [
        (ErasurePlan(method="influence", repair={"rounds": 1, "clients": 1}), "who repaired"),
        (ErasurePlan(method="influence", decoys=1), "who was erased along with them"),
        (ErasurePlan(method="influence"), None),
    ],
)
def test_what_was_drawn_by_the_secret_is_told_and_nothing_else(plan: ErasurePlan, drawn: str | None, run: Path) -> None:
    with opened_run(run) as opened:
        made = erase(opened, order_erasure(opened, ["hospital-1"], plan))
    carried = acting.erased(run, *made.forget, plan=ErasurePlan(result=made.id))
    said = acting.predicate(acting.certified(carried)).get("secrets")
    assert (said is None) == (drawn is None)
    if said is not None:
        words = f"Drawn from a secret of this erasure's own: {drawn}. Who has it can draw the same again. "
        assert said["words"].startswith(words)


def test_a_former_secret_stops_a_purge(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / ".mask_secret").write_bytes(bytes(32))
    with pytest.raises(FedletheError, match="shred"):
        acting.erased(other, "hospital-1")
    (other / ".mask_secret").unlink()
    acting.carry(other, "R0001")


def test_a_record_of_an_earlier_version_is_named_in_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several that were erased at once it told the candidates in words, and one chance."""
    with opened_run(run) as opened:
        erase(opened, order_erasure(opened, HOSPITALS[:2], ErasurePlan(method="influence", mask={"epsilon": 3.0})))
        facts = json.loads(opened.history.erasure_record("0001"))
        for name in ("erased", "hit"):
            del facts["hidden"][name]
        monkeypatch.setattr(type(opened.history), "erasure_record", lambda *_: json.dumps(facts))
        with pytest.raises(FedletheError, match=r"0001/erasure\.json: is of an earlier version"):
            recorded(opened.history, "0001")
