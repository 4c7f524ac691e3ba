# SPDX-License-Identifier: MIT
"""What an attacker and an officer tried against requests and certificates, each as a test."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image

from fedlethe.audit import Finding
from fedlethe.config import resolve
from fedlethe.data.cache import cache_folder
from fedlethe.data.holdings import holdings
from fedlethe.erasing.auditing import Attested, enter
from fedlethe.erasing.erase import erase
from fedlethe.erasing.order import ErasureOrder, order_for
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.erasing.record import Erasure
from fedlethe.errors import FedletheError
from fedlethe.files import sha256_of
from fedlethe.history import chain
from fedlethe.history.chain import canonical
from fedlethe.history.sent_statistics import statistics_of
from fedlethe.learners.training import train_run
from fedlethe.pages.report import report
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, erase_unsigned, purge_due
from fedlethe.requests.request import listed, open_request, withdraw
from fedlethe.requests.verify import verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.runs.run import OpenRun
from fedlethe.runs.run_toml import opened_folder
from tests.requests.acting import KEY, certified, document, erased, request, trained
from tests.requests.rechaining import rechained

GONE = "hospital-1"
PLAIN = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0})
EXACT = ErasurePlan(method="closed-form", options={}, mask={}, repair={})
CLOSED = {
    "learner": "closed-form",
    "data": {"source": "phantom", "size": 16, "hospitals": 3, "images_per_hospital": 24},
    "closed_form": {"dimension": 8},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("made") / "run", document(hospitals=3, rounds=2))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("closed") / "run", CLOSED)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture
def public(tmp_path: Path) -> Path:
    pem = KEY.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(pem)
    return tmp_path / "key.pub"


def _carry(run: Path, id: str, plan: ErasurePlan | None = None) -> None:
    with opened_run(run) as opened:
        carry_out(opened, id, plan, KEY)


def _predicate(path: Path) -> dict[str, Any]:
    predicate: dict[str, Any] = json.loads(signing.unchecked(path.read_bytes(), path))["predicate"]
    return predicate


def _entered_anew(run: Path, path: str, change: Any = None) -> None:
    """Change a JSON file, and make the ledger anew with its hash."""
    place = run / path
    record = json.loads(place.read_text())
    change(record)
    place.write_text(json.dumps(record))
    hash, size = sha256_of(place), place.stat().st_size

    def renew(kind: str, body: dict[str, Any]) -> None:
        if kind == "artefact" and body["path"] == path:
            body |= {"sha256": hash, "bytes": size}

    rechained(run, renew)


# Forged after the first certificate


def test_a_ledger_that_was_made_anew_after_the_first_certificate(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(run, GONE)
    _carry(run, id, replace(PLAIN, keep_for=1))

    def forge(record: dict[str, Any]) -> None:
        record["stages"][-1]["evaluation"]["overall"]["auc"] = 0.999

    _entered_anew(run, "erasures/0001/erasure.json", forge)
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with opened_run(run) as opened, pytest.raises(FedletheError, match=r"certificate.*head that is not in the ledger"):
        purge_due(opened, KEY)
    assert not (run / "erasures/0001/certificate.json").exists()
    assert list((run / "influence").glob(f"{GONE}/*"))


def test_a_verdict_that_was_forged_in_the_ledger(run: Path) -> None:
    id = request(run, GONE)
    finding = Finding("accuracy", "not useful", "it answers one class")

    def audit(run: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
        enter(run, erasure.id, Attested(references, (1, 2, 3), "not useful", (finding,)))

    with opened_run(run) as opened:
        assert erase_unsigned(opened, id, replace(PLAIN, references=3), audit).stopped

    def forge(kind: str, body: dict[str, Any]) -> None:
        if kind == "state" and body.get("verdict"):
            body["verdict"] = "gone"

    rechained(run, forge)
    with pytest.raises(FedletheError, match="the ledger says 'gone' of its audit, and the audit's record"):
        _carry(run, id)
    assert not list(run.rglob("certificate*"))


@pytest.mark.parametrize(
    "body",
    [
        {"request": "R0001", "state": "completed"},
        {"request": "R0001", "state": "completed", "erasure": "0001", "purge": "done"},
        {"request": "R0001", "state": "running"},
        {"request": "R0001", "state": "audited"},
        {"request": "R0007", "state": "opened"},
    ],
    ids=str,
)
def test_a_state_that_a_request_cannot_have_come_to_be_in(run: Path, body: dict[str, Any]) -> None:
    request(run, GONE)
    row = rechained(run, lambda kind, body: None, ("state", canonical(body)))
    with pytest.raises(FedletheError, match=rf"row {row} \(state\)"):
        listed(run)


def test_a_request_of_nobody_is_no_request(run: Path) -> None:
    request(run, GONE)

    def forge(kind: str, body: dict[str, Any]) -> None:
        if kind == "request":
            body["clients"] = []

    rechained(run, forge)
    with pytest.raises(FedletheError, match=r"\(request\) has a 'clients' that cannot be"):
        listed(run)


# Files that live on


@pytest.mark.parametrize("name", ["global_checkpoints/round_0002.safetensors", "run.toml"])
def test_a_file_that_is_a_link_is_not_signed_over(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).rename(tmp_path / "elsewhere")
    (run / name).symlink_to(tmp_path / "elsewhere")
    id = request(run, GONE)
    with pytest.raises(FedletheError, match=r"is a link, which fedlethe does not make"):
        _carry(run, id, PLAIN)
    assert not list(run.rglob("certificate*"))


def test_a_file_with_another_name_is_not_purged_until_that_is_gone(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "backup"
    os.link(run / "global_checkpoints/round_0002.safetensors", other)
    id = request(run, GONE)
    with pytest.raises(FedletheError, match=r"round_0002\.safetensors: has 1 other names \(hard links\)"):
        _carry(run, id, PLAIN)
    assert not list(run.rglob("certificate*"))
    other.unlink()
    _carry(run, id)
    assert not verify_ledger(run).failed


def test_copies_in_the_run_folder_are_named_by_the_certificate_and_by_verify(run: Path, public: Path) -> None:
    for copy in ("backup.bin", "global_checkpoints/old.pt", "erasures.bak"):
        shutil.copy(run / "global_checkpoints/round_0002.safetensors", run / copy)
    with opened_run(run) as opened:
        report(opened)
    carried = erased(run, GONE, plan=PLAIN)
    named = [" ".join(words.split(": ")[1:2]) for words in carried.unnamed]
    assert named == ["backup.bin", "erasures.bak", "global_checkpoints/old.pt"]  # the pages went with the purge
    assert _predicate(certified(carried))["purge"]["unnamed"] == list(carried.unnamed)
    checks = {check.what: check for check in verify_certificate(certified(carried), public, run).checks}
    assert checks["other files"].result == "not checked"
    assert all(copy in checks["other files"].words for copy in named)


def test_a_certificate_that_is_gone_is_told(run: Path) -> None:
    certified(erased(run, GONE, plan=PLAIN)).unlink()
    (problem,) = listed(run).problems
    assert problem.endswith("certificate.json: is missing, though the ledger names it")
    with pytest.raises(FedletheError, match=r"certificate\.json: is missing"):
        _carry(run, "R0001")


@pytest.mark.parametrize("whose", ["hospital-0", "-images"])
def test_nothing_is_signed_of_files_whose_key_is_gone(closed: Path, tmp_path: Path, whose: str) -> None:
    run = Path(shutil.copytree(closed, tmp_path / "run"))
    id = request(run, GONE)
    with opened_run(run) as opened:
        erase_unsigned(opened, id, EXACT)
    (key,) = (run / "keys").glob(f"{whose}.*.key")
    content = key.read_bytes()
    for damaged in (None, b"", content[:3] + bytes([content[3] ^ 1]) + content[4:]):
        key.unlink()
        if damaged is not None:
            key.write_bytes(damaged)
            key.chmod(0o600)
        with pytest.raises(FedletheError, match=rf"{whose}"):
            _carry(run, id)
        key.write_bytes(content)
    assert not list(run.rglob("certificate*"))
    _carry(run, id)


# Certificates that say too much


def test_of_a_patient_it_is_said_that_it_was_one_patient(table: Path, public: Path) -> None:
    run = trained(table.parent / "run", _of(table))
    carried = erased(run, "north", patients=["north 3"], plan=EXACT)
    said = {check.what: check.words for check in verify_certificate(certified(carried), public, run).checks}
    assert said["statement"].startswith("north (1 of its patients) erased by request R0001; claim: exact")
    assert any("pseudonym" in words for words in _predicate(certified(carried))["purge"]["remains"])


def test_a_certificate_of_nothing_ends_in_one_line(run: Path, public: Path) -> None:
    path = certified(erased(run, GONE, plan=PLAIN))
    whole = json.loads(signing.unchecked(path.read_bytes(), path))
    for subject in ([], [whole["subject"][0]]):
        path.write_bytes(signing.signed(canonical({**whole, "subject": subject}).encode(), KEY))
        with pytest.raises(FedletheError, match="is not written as this version writes certificates"):
            verify_certificate(path, public, run)


# Patients in the closed form


def _images(folder: Path, seed: int, hospitals: tuple[str, ...] = ("north", "south")) -> Path:
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


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return _images(tmp_path / "images", 1)


def _of(table: Path, **more: Any) -> dict[str, Any]:
    data = {"source": "table", "path": str(table), "size": 16, "channels": 1}
    return {**CLOSED, "data": data, "features": {"scales": 2}, **more}


def _left(run: Path) -> dict[str, Any]:
    """What a purged closed-form run keeps, less what names hashes, times, or how the model before answered."""
    kept: dict[str, Any] = {}
    with opened_folder(run) as (_, history):
        for artefact in history.ledger.artefacts().values():
            name = artefact.path
            if "certificate" in name or name == "run.toml" or "stages" in name or "/images-" in name:
                continue
            content = history.store.content(artefact)
            if name.endswith("erasure.json"):
                record = json.loads(content)
                content = canonical({part: record[part] for part in ("found", "guarantee")}).encode()
            if "fingerprints" not in name:
                kept[name] = content
    return kept


def test_what_stays_of_a_closed_form_run_is_the_same_whatever_the_erased_images_were(tmp_path: Path) -> None:
    """The scores of the penalties, to all digits, once gave the features of the erased patient away."""
    left = []
    for seed in (1, 2):
        run = trained(tmp_path / f"run-{seed}", _of(_images(tmp_path / f"images-{seed}", seed)))
        erased(run, "north", patients=["north 3"], plan=EXACT)
        left.append(_left(run))
    assert sorted(left[0]) == sorted(left[1])
    assert "statistics/features.json" in left[0]
    assert [name for name, content in left[0].items() if left[1][name] != content] == []


def test_a_patient_s_name_in_any_free_text_is_refused(table: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", _of(table))
    with opened_run(run) as opened:
        for text in ("because north 3 asked", "NORTH 3"):
            with pytest.raises(FedletheError, match="would be a patient's name"):
                open_request(opened, ["north"], [], text, "the tests")
    request(run, "north", patients=["north 3"])
    for text in (
        "north 3",
        "of patient=north 3",
        "north 3\u2019s wish",
        "#north 3/2",
        "(north 3)",
        "xnorth 3y",
        "North 3 asks",
        "NORTH\u00a03",
    ):
        for reason, by in ((text, "the officer"), ("withdrawn", text)):
            with pytest.raises(FedletheError, match="would be a patient's name"):
                withdraw(run, "R0001", reason, by)
    with (
        opened_run(run) as opened,
        pytest.raises(FedletheError, match="--lost-keys: characters 15 to 21 would be a patient's name"),
    ):
        carry_out(opened, "R0001", None, KEY, lost={"why": "the drawer of north 3", "by": "the officer"})
    assert b"north 3" not in b"".join(path.read_bytes() for path in run.iterdir() if path.is_file())


def test_other_clients_with_a_patient_of_the_name_are_told(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace("south 2", "north 3"))
    run = trained(tmp_path / "run", _of(table))
    with opened_run(run) as opened:
        assert open_request(opened, ["north"], ["north 3"], "withdrew", "the tests").namesakes == ["south"]


def test_who_lost_its_key_can_be_erased_in_closed_form(closed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed, tmp_path / "run"))
    (key,) = (run / "keys").glob(f"{GONE}.*.key")
    key.unlink()
    id = request(run, GONE)
    with opened_run(run) as opened:
        carried = carry_out(opened, id, EXACT, KEY, lost={"why": "it burnt", "by": "the officer"})
    assert _predicate(certified(carried))["claim"]["kind"] == "exact"
    assert not verify_ledger(run).failed


# Images that come back


def test_a_training_that_leaves_somebody_out_leaves_none_of_its_images_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_CACHE", str(tmp_path / "cache"))
    table = _images(tmp_path / "images", 1)
    network = {"learner": "averaging", "federation": {"rounds": 1}, "local": {"epochs": 1}}
    config = {**{k: v for k, v in _of(table).items() if k not in ("learner", "closed_form", "features")}}
    config |= {name: value for name, value in network.items() if name != "learner"}
    third = {**config, "partition": {"allow_one_class": True}}
    first = trained(tmp_path / "first", third)
    with opened_run(first) as opened:
        images = opened.images
        theirs = {images.clients["north"].train.images[row].tobytes() for row in images.clients["north"].train.indices}
    erased(first, "north", plan=PLAIN)
    assert not _cached(theirs)
    train_run(resolve(third), tmp_path / "second", after=first / "erasures/0001")
    assert not _cached(theirs)
    with opened_run(tmp_path / "second"):
        assert not _cached(theirs)
    table.write_text("\n".join(line for line in table.read_text().splitlines() if ",north," not in line) + "\n")
    with opened_run(tmp_path / "second") as opened:  # the images can leave the data, too
        assert list(opened.data.clients) == ["south"]


def _cached(images: set[bytes]) -> int:
    """How many of these images the cache holds."""
    assert cache_folder().is_dir()
    found = 0
    for held in holdings():
        if held.path.suffix == ".npy" and held.kind == "images":
            rows = np.load(held.path, allow_pickle=False)
            found += sum(row.tobytes() in images for row in rows)
    return found


def test_what_is_left_of_a_patient_s_hospital_is_made_of_its_images(tmp_path: Path) -> None:
    """A difference of two sums is no training from scratch: a record once said 0.0e+00 where it was 9e-8."""
    table = _images(tmp_path / "images", 1)
    run = trained(tmp_path / "run", _of(table))
    with opened_run(run) as opened:
        erase(
            opened, order_for(opened.config, (), ErasurePlan(method="closed-form", options={"patients": ["north 3"]}))
        )
        left = statistics_of(opened.history, "north", "erasures/0001/statistics/north").content()
    table.write_text("\n".join(line for line in table.read_text().splitlines() if ",north 3," not in line) + "\n")
    with opened_folder(trained(tmp_path / "anew", _of(table))) as (_, history):
        assert statistics_of(history, "north").content() == left


# A network that was trained anew


@pytest.mark.parametrize(
    ("method", "keep"), [("retrain", ["influence"]), ("retrain", ["fed_recover"]), ("rollback", ["rollback"])]
)
def test_influences_that_stay_are_of_the_training_without_the_erased(
    method: str, keep: list[str], tmp_path: Path
) -> None:
    """Those of the training with it were made in its presence, and the next erasure would bring that back."""
    kept, models = [], []
    for seed in (1, 2):
        table = _images(tmp_path / f"images-{seed}", seed, ("north", "south", "west", "east"))
        data = {"source": "table", "path": str(table), "size": 16, "channels": 1}
        training = {"federation": {"rounds": 2}, "local": {"epochs": 1}, "history": {"methods": keep}}
        run = trained(tmp_path / f"run-{seed}", {"data": data, **training})
        erased(run, "north", plan=ErasurePlan(method=method, options={}, mask={}, repair={"rounds": 0}))
        with opened_folder(run) as (_, history):
            held = history.ledger.artefacts().values()
            kept.append({one.path: history.store.content(one) for one in held if one.kind == "influence"})
            if kept[-1]:
                total = history.initial().double() + sum(
                    history.influence(c).double() for c in ("south", "west", "east")
                )
                assert torch.allclose(total.float(), history.erased_model("0001"), atol=1e-6)
        plan = PLAIN if kept[-1] else replace(PLAIN, method="retrain", options={})
        erased(run, "south", plan=plan)
        with opened_folder(run) as (_, history):
            models.append(history.erased_model("0002"))
    assert bool(kept[0]) == (keep != ["rollback"])
    assert kept[0] == kept[1]
    assert torch.equal(*models)


@pytest.mark.parametrize("repair", [0, 1])
def test_where_no_influence_is_left_methods_that_need_it_say_so(repair: int, tmp_path: Path) -> None:
    config = document(hospitals=4, rounds=3, federation={"rounds": 3, "participation": 0.5}, seed=2)
    run = trained(tmp_path / "run", config)
    with opened_run(run) as opened:
        entered = {
            c: next(r for r in range(1, 4) if c in opened.history.weights(r)) for c in opened.history.contributors()
        }
        late = max(entered, key=lambda client: entered[client])
        assert entered[late] > 1
    erased(run, late, plan=ErasurePlan(method="rollback", options={}, mask={}, repair={"rounds": repair}))
    other = min(set(entered) - {late})
    with pytest.raises(FedletheError, match=r"influence: .* went with a purge"):
        erased(run, other, plan=PLAIN)
    with opened_run(run) as opened:
        plan = ErasurePlan(method="retrain", options={}, mask={}, repair={"rounds": 0})
        assert carry_out(opened, "R0002", plan, KEY).request.state == "completed"


# A long day


def test_what_a_refused_command_says_is_not_entered(run: Path) -> None:
    def audit(opened: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
        enter(opened, erasure.id, Attested(references, (1,), "still there", (Finding("backdoor", "still there", "x"),)))

    id = request(run, GONE)
    accepted = {"why": "agreed", "by": "the officer"}
    with opened_run(run) as opened:
        assert carry_out(opened, id, replace(PLAIN, references=3), KEY, audit).request.stopped
        with pytest.raises(FedletheError, match="leave all other options out"):
            carry_out(opened, id, replace(PLAIN, keep_for=2), KEY, audit, accepted)
    assert listed(run).requests[0].accepted is None
    with opened_run(run) as opened:
        assert carry_out(opened, id, None, KEY, audit, accepted).request.state == "completed"
        assert carry_out(opened, id, PLAIN, KEY).request.state == "completed"  # as it was carried out
        with pytest.raises(FedletheError, match=r"was completed on .*, and not in this way"):
            carry_out(opened, id, replace(PLAIN, method="retrain", options={}), KEY)


def test_another_signing_key_for_the_second_certificate_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(run, GONE)
    _carry(run, id, replace(PLAIN, keep_for=1))
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    other = signing.SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with opened_run(run) as opened:
        (carried,) = purge_due(opened, other).carried
    said = _predicate(certified(carried))["purge"]["first_certificate"]
    words = "its signature was not checked here."
    assert said == f"It says the same, and was signed with another key, {KEY.public.id[:16]}: {words}"


def test_a_purge_waits_for_a_request_that_is_half_carried_out(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = request(run, GONE), request(run, "hospital-2")
    _carry(run, first, replace(PLAIN, keep_for=1))
    with opened_run(run) as opened:
        erase_unsigned(opened, second, PLAIN)
    monkeypatch.setattr(chain, "clock", lambda: "2999-01-01T00:00:00+00:00")
    with opened_run(run) as opened, pytest.raises(FedletheError, match="request R0002 is audited; finish it first"):
        purge_due(opened, KEY)
    _carry(run, second)
    with opened_run(run) as opened:
        assert [one.request.id for one in purge_due(opened, KEY).carried] == [first]
    assert not verify_ledger(run).failed


def test_what_an_earlier_run_keeps_until_a_date_is_not_purged_by_a_later_run(run: Path, tmp_path: Path) -> None:
    _carry(run, request(run, GONE), replace(PLAIN, keep_for=9))
    later = tmp_path / "later"
    train_run(resolve(document(hospitals=3, rounds=1)), later, after=run / "erasures/0001")
    kept = {path: path.read_bytes() for path in (run / "influence").rglob("*.sealed")}
    id = request(later, "hospital-2")
    with pytest.raises(FedletheError, match=r"run: its request R0001 keeps its traces until .*fedlethe purge"):
        _carry(later, id, PLAIN)
    assert {path: path.read_bytes() for path in (run / "influence").rglob("*.sealed")} == kept
    assert not list(later.rglob("certificate*"))


def test_a_lost_key_that_is_found_again_is_a_key(made: Path, tmp_path: Path) -> None:
    """Nothing of a refused command says that a key is lost, and a key that was put back is not destroyed as unknown."""
    run = Path(shutil.copytree(made, tmp_path / "run"))
    id, lost = request(run, GONE), {"why": "the drive died", "by": "the officer"}
    keys = {client: next((run / "keys").glob(f"{client}.*.key")) for client in (GONE, "hospital-0")}
    content = {client: key.read_bytes() for client, key in keys.items()}
    plan = replace(PLAIN, method="retrain", options={})
    for client, key in keys.items():
        key.unlink()
        wrong = replace(plan, references=2) if client == GONE else plan  # too few; and the key of who stays does not go
        with opened_run(run) as opened, pytest.raises(FedletheError):
            carry_out(opened, id, wrong, KEY, lost=lost)
        key.write_bytes(content[client])
        key.chmod(0o600)
        assert "keys" not in {check.what for check in verify_ledger(run).failed}
    keys[GONE].unlink()
    with opened_run(run) as opened, pytest.raises(FedletheError, match="why it is a secret"):
        carry_out(opened, id, None, KEY, _stops, lost=lost)
    keys[GONE].write_bytes(content[GONE])
    keys[GONE].chmod(0o600)
    with opened_run(run) as opened:
        purged = _predicate(certified(carry_out(opened, id, None, KEY)))["purge"]["runs"][0]
    assert list(purged["keys_destroyed"]) == [GONE]
    assert purged["keys_not_found"]["said to be lost"] == {}
    assert not verify_ledger(run).failed


def _stops(run: OpenRun, erasure: Erasure, _: ErasureOrder, references: int) -> None:
    raise FedletheError("why it is a secret")


def test_a_request_that_nothing_was_signed_of_can_be_withdrawn(run: Path) -> None:
    id = request(run, GONE)
    with opened_run(run) as opened:
        assert erase_unsigned(opened, id, PLAIN).state == "audited"
    assert withdraw(run, id, "changed its mind", "the officer").state == "withdrawn"
    id = request(run, GONE)
    _carry(run, id, replace(PLAIN, method="fine_tune", options={}))
    with pytest.raises(FedletheError, match="cannot be withdrawn any more"):
        withdraw(run, id, "too late", "the officer")


def test_the_same_command_again_after_a_kill_in_the_purge(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = request(run, GONE)
    with monkeypatch.context() as patch, opened_run(run) as opened:
        patch.setattr("fedlethe.requests.carry_out.demand_as_certified", lambda *_: None)
        patch.setattr("fedlethe.requests.purge.reach", _killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(opened, id, PLAIN, KEY)
    _carry(run, id, PLAIN)
    assert listed(run).requests[0].state == "completed"
    assert not verify_ledger(run).failed


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_patient_may_be_called_as_a_number_of_the_law(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace(",north 3,", ",17,"))
    run = trained(tmp_path / "run", _of(table))
    assert request(run, "north", patients=["17"]) == "R0001"


def test_the_new_key_of_a_client_that_lost_a_patient_is_no_key_to_be_lost(table: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", _of(table))
    id = request(run, "north", patients=["north 3"])
    with opened_run(run) as opened:
        erase_unsigned(opened, id, EXACT)
        old, new = opened.history.store.keys.living("north")
    key = run / f"keys/north.{new}.key"
    content = key.read_bytes()
    key.unlink()
    with opened_run(run) as opened, pytest.raises(FedletheError, match="key of north is missing"):
        carry_out(opened, id, None, KEY, lost={"why": "it burnt", "by": "the officer"})
    key.write_bytes(content)
    key.chmod(0o600)
    with opened_run(run) as opened:
        purged = _predicate(certified(carry_out(opened, id, None, KEY)))["purge"]["runs"][0]
    assert purged["keys_destroyed"] == {"north": [old]}
    assert not verify_ledger(run).failed


def test_what_cannot_be_rebased_in_a_chain_is_found_before_anything_is_condemned(tmp_path: Path) -> None:
    config = document(hospitals=4, rounds=2, history={"methods": ["retrain"]})
    first, second = trained(tmp_path / "first", config), tmp_path / "second"
    erased(first, GONE, plan=replace(PLAIN, method="retrain", options={}))
    train_run(
        resolve(document(hospitals=4, rounds=1, history={"methods": ["influence"]})),
        second,
        after=first / "erasures/0001",
    )
    erased(second, "hospital-2", plan=replace(PLAIN, method="fine_tune", options={}))
    for run in (first, second):
        assert not verify_ledger(run).failed


def test_after_a_retraining_methods_that_need_the_training_before_it_are_refused(run: Path) -> None:
    with opened_run(run) as opened:
        one = erase(opened, order_for(opened.config, [GONE], ErasurePlan(method="retrain")))
        with pytest.raises(FedletheError, match="trained the model anew"):
            erase(opened, order_for(opened.config, ["hospital-2"], ErasurePlan(method="fed_eraser", after=one.id)))
