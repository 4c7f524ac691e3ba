# SPDX-License-Identifier: MIT
"""Somebody with a text editor in the run folder: whatever is changed, nothing is trained, signed or purged with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedlethe.config import resolve
from fedlethe.erasing.plan import ErasurePlan
from fedlethe.errors import FedletheError
from fedlethe.files import sha256_of
from fedlethe.learners.training import train_run
from fedlethe.requests import signing
from fedlethe.requests.carry_out import carry_out, erase_unsigned
from fedlethe.requests.request import listed
from fedlethe.requests.verify import verify_certificate, verify_ledger
from fedlethe.runs.opening import opened_run
from fedlethe.studies.sweep import saved_sweep, sweep
from fedlethe.unlearning.influence import Influence
from tests.requests.acting import KEY, certified, document, erased, request, trained
from tests.requests.rechaining import rechained

GONE = "hospital-1"
HELD = ErasurePlan(method="influence", options={"scale": 1.0}, mask={}, repair={"rounds": 0}, references=3, keep_for=1)
TOMORROW = """
import datetime as dt, sys
from fedlethe.history import chain
later = (dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=2)).isoformat(timespec="seconds")
chain.clock = lambda: later
from fedlethe.__main__ import main
main()
"""


def _fedlethe(*arguments: str | Path, later: bool = False) -> tuple[int, str, str]:
    program = ["-c", TOMORROW] if later else ["-m", "fedlethe"]
    command = [sys.executable, *program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_claim_and_a_figure_that_were_forged_while_the_traces_were_held(tmp_path: Path) -> None:
    run, key = tmp_path / "run", tmp_path / "k"
    size = ["--set", "data.size=16", "--set", "data.hospitals=3", "--set", "data.images_per_hospital=40"]
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("key", "new", key),
        ("train", *size, "--rounds", "1", "--local-epochs", "1", "--out", run),
        ("request", run, "--client", GONE, "--reason", "withdrew"),
        ("erase", run, "--request", "R0001", "--key", key, "--keep-for", "1"),
    )
    for command in commands:
        code, _, errors = _fedlethe(*command)
        assert code == 0, errors
    place = run / "erasures/0001/erasure.json"
    honest = place.read_bytes()
    record = json.loads(honest)
    record["guarantee"] = {"kind": "exact", "statement": "trained from the initial model on the retained clients alone"}
    record["stages"][-1]["evaluation"]["overall"]["auc"] = 0.999
    place.write_text(json.dumps(record))
    code, output, errors = _fedlethe("purge", run, "--key", key, later=True)
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert "erasures/0001/erasure.json: its bytes are not those that the ledger names" in errors
    assert not (run / "erasures/0001/certificate.json").exists()
    assert (run / f"influence/{GONE}").is_dir()  # nothing was purged
    place.write_bytes(honest)
    assert _fedlethe("purge", run, "--key", key, later=True)[0] == 0
    claim = _claim(run / "erasures/0001/certificate.json", signing.read_signing_key(key))
    assert claim["kind"] == "evidence"
    code, output, _ = _fedlethe("verify", run / "erasures/0001/certificate.json", "--key", f"{key}.pub", "--run", run)
    assert code == 0
    assert "audit: not audited" in " ".join(output.split())


def _claim(certificate: Path, key: signing.SigningKey = KEY) -> dict[str, Any]:
    payload = signing.opened(certificate.read_bytes(), key.public, certificate)
    claim: dict[str, Any] = json.loads(payload)["predicate"]["claim"]
    return claim


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose request is erased and audited, to be signed."""
    run = trained(tmp_path_factory.mktemp("forged") / "run", document(rounds=2))
    request(run, GONE)
    with opened_run(run) as opened:
        erase_unsigned(opened, "R0001", HELD)
    return run


def _edited(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1) if b"0" in content else content + b" ")


@pytest.mark.parametrize(
    "name",
    [
        "run.toml",
        "erasures/0001/erasure.json",
        "erasures/0001/audit.json",
        "erasures/0001/stages.csv",
        "erasures/0001/stages.svg",
        "erasures/0001/stages.png",
        "erasures/0001/model.safetensors",
        "audits/0001/candidate.safetensors",
        "global_checkpoints/round_0000.safetensors",
        "norms/hospital-0/round_0001.sealed",
        "influence/hospital-2/round_0002.sealed",
    ],
)
def test_whatever_was_edited_before_it_is_signed(audited: Path, name: str, tmp_path: Path) -> None:
    run = Path(shutil.copytree(audited, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    _edited(run / name)

    def act() -> None:
        with opened_run(run) as opened:
            accepted = {"why": "x", "by": "y"} if listed(run).requests[0].stopped else None
            carry_out(opened, "R0001", None, KEY, accepted=accepted)

    with pytest.raises(FedletheError, match=Path(name).name) as error:
        act()
    assert "\n" not in str(error.value)
    assert not list(run.rglob("certificate*"))
    assert all(path.exists() for path in before)
    (run / name).write_bytes(before[run / name])
    act()
    assert not verify_ledger(run).failed


def test_a_configuration_that_was_edited_is_not_trained_with(tmp_path: Path) -> None:
    wanted = document(hospitals=3, rounds=2)
    run = trained(tmp_path / "run", wanted)
    honest = (run / "run.toml").read_text()
    assert "learning_rate = 0.05\n" in honest
    (run / "run.toml").write_text(honest.replace("learning_rate = 0.05\n", "learning_rate = 0.5\n"))
    code, _, errors = _fedlethe("train", "--out", run)
    assert (code, errors.count("\n")) == (2, 1)
    assert "run.toml: its bytes are not those that the ledger names" in errors
    for command in (("evaluate", run), ("report", run), ("erase", run, "--client", GONE)):
        assert _fedlethe(*command)[0] == 2
    (run / "run.toml").write_text(honest)
    assert _fedlethe("evaluate", run)[0] == 0


def test_an_unfinished_training_does_not_go_on_with_an_edited_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedlethe.history.disk import RunFolder

    whole, run = RunFolder.append, tmp_path / "run"

    def first_alone(folder: RunFolder, record: Any, *rest: Any) -> None:
        if record.round > 1:
            raise KeyboardInterrupt
        whole(folder, record, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", first_alone)
        with pytest.raises(KeyboardInterrupt):
            train_run(resolve(document(hospitals=3)), run)
    text = (run / "run.toml").read_text()
    (run / "run.toml").write_text(text.replace("learning_rate = 0.05\n", "learning_rate = 0.5\n"))
    tenfold = document(hospitals=3)
    tenfold["local"]["learning_rate"] = 0.5
    with pytest.raises(FedletheError, match=r"run\.toml: its bytes are not those"):
        train_run(resolve(tenfold), run)  # not even where the command asks for the same change
    (run / "run.toml").write_text(text)
    train_run(resolve(document(hospitals=3)), run)


def test_a_study_that_was_edited_is_not_drawn(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", document(hospitals=3, rounds=1))
    with opened_run(run) as opened:
        for sigmas in ((0.0,), (0.0, 0.01)):  # the second takes the place of the first
            sweep(opened, "influence", Influence(), sigmas, 1, (GONE,))
        assert saved_sweep(opened.history) is not None
        _edited(run / "report/sweep.json")
        with pytest.raises(FedletheError, match=r"sweep\.json"):
            saved_sweep(opened.history)


# Who can write the folder can make the whole ledger anew: then the claim is still worked out again before it is signed


def test_a_claim_in_a_ledger_that_was_made_anew_is_not_signed(audited: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(audited, tmp_path / "run"))
    place = run / "erasures/0001/erasure.json"
    record = json.loads(place.read_bytes())
    record["guarantee"] = {"kind": "exact", "statement": "trained without them"}
    place.write_text(json.dumps(record))

    def change(kind: str, body: dict[str, Any]) -> None:
        if kind == "artefact" and body["path"] == "erasures/0001/erasure.json":
            body |= {"sha256": sha256_of(place), "bytes": place.stat().st_size}

    rechained(run, change)
    accepted = {"why": "x", "by": "y"} if listed(run).requests[0].stopped else None
    with opened_run(run) as opened, pytest.raises(FedletheError, match=r"claims 'exact'.*'evidence' at most"):
        carry_out(opened, "R0001", None, KEY, accepted=accepted)
    assert not list(run.rglob("certificate*"))


def test_a_certificate_that_claims_too_much_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed by a fedlethe that was tampered with: `verify --run` works the claim out by itself."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    run = trained(tmp_path / "run", document(hospitals=3, rounds=1))
    with monkeypatch.context() as patch:
        patch.setattr("fedlethe.requests.certificate_facts.claimed", lambda *_: "exact")
        carried = erased(run, GONE, plan=ErasurePlan(method="influence", options={}, mask={}, repair={}))
    public = tmp_path / "key.pub"
    public.write_bytes(KEY.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    checked = verify_certificate(certified(carried), public, run)
    assert [check.what for check in checked.failed] == ["claim"]
