# SPDX-License-Identifier: MIT
"""What `ledger verify` finds in a run folder: damaged keys, whatever the ledger does not name, rows that cannot be."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedlethe.cli.app import app
from fedlethe.errors import FedletheError
from fedlethe.history.chain import canonical
from fedlethe.pages.report import report
from fedlethe.requests.verify import verify_ledger
from fedlethe.runs.opening import opened_run
from tests.requests.acting import RECOMMENDED, document, erased, trained
from tests.requests.rechaining import rechained


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an erasure that was purged, and its page."""
    run = trained(tmp_path_factory.mktemp("verified") / "run", document(rounds=1))
    erased(run, "hospital-1", plan=RECOMMENDED)
    with opened_run(run) as opened:
        report(opened)
    assert not verify_ledger(run).failed
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy, to be meddled with."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def _failed(run: Path) -> dict[str, str]:
    return {check.what: check.words for check in verify_ledger(run).failed}


# Keys


def _damages(content: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Keys that are not what was made: a byte changed in each of the places, or the length, or the whole."""
    draw = random.Random(40)
    for place in places:
        yield content[:place] + bytes([content[place] ^ draw.randrange(1, 256)]) + content[place + 1 :]
    yield from (b"", content[:-1], content + b"\n", content[:22], content.lower(), b"\0" * len(content))


def test_every_damaged_key_is_found(run: Path) -> None:
    keys = sorted((run / "keys").iterdir())
    assert len(keys) == 4  # of the three clients that are left, and of the images' fingerprints
    tried = 0
    for number, key in enumerate(keys):
        whole, missed = key.read_bytes(), []
        for damaged in _damages(whole, range(len(whole)) if number == 0 else range(number, len(whole), 7)):
            key.write_bytes(damaged)
            tried += 1
            if f"{key}: " not in _failed(run).get("keys", ""):
                missed.append(damaged)
        assert missed == []
        key.write_bytes(whole)
    assert tried > 40
    assert not _failed(run)


def _swapped(run: Path) -> Path:
    """A key in another client's place, under the name that is expected there."""
    first, second = sorted((run / "keys").glob("hospital-*.key"))[:2]
    first.write_bytes(second.read_bytes())
    return first


def _removed(run: Path) -> Path:
    key = min((run / "keys").glob("hospital-*.key"))
    key.unlink()
    return key


def _linked(run: Path) -> Path:
    key = min((run / "keys").glob("hospital-*.key"))
    key.rename(run.parent / "elsewhere.key")
    key.symlink_to(run.parent / "elsewhere.key")
    return key


def _twice(run: Path) -> Path:
    key = min((run / "keys").glob("hospital-*.key"))
    (run.parent / "second.key").hardlink_to(key)
    return key


def _open_to_others(run: Path) -> Path:
    key = min((run / "keys").glob("hospital-*.key"))
    key.chmod(0o644)
    return key


@pytest.mark.parametrize("change", [_swapped, _removed, _linked, _twice, _open_to_others])
def test_a_key_that_is_not_the_one_that_was_made_in_its_place_is_named(
    change: Callable[[Path], Path], run: Path
) -> None:
    assert str(change(run)) in _failed(run)["keys"]


def test_a_key_that_does_not_open_what_its_client_s_file_holds_is_named(run: Path) -> None:
    """Its row is right in a ledger that was made anew; it is another client's, so that a living key sealed it."""
    held = {path.parent.name: path for path in (run / "influence").rglob("*.sealed")}
    one, other = sorted(held)[:2]
    held[one].write_bytes(held[other].read_bytes())
    content = held[one].read_bytes()

    def change(kind: str, body: dict[str, Any]) -> None:
        if kind == "artefact" and body["path"] == held[one].relative_to(run).as_posix():
            body |= {"sha256": sha256(content).hexdigest(), "bytes": len(content)}

    rechained(run, change)
    assert str(held[one]) in _failed(run)["keys"]


# Modes


def test_the_run_folder_itself_is_its_owner_s_alone(run: Path) -> None:
    run.chmod(0o777)
    assert _failed(run)["modes"].startswith(f"{run}: others can read or write it (mode 777); run: chmod -R go= {run}")
    run.chmod(0o700)
    assert not _failed(run)


def test_a_folder_of_keys_that_lies_apart_is_its_owner_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    run = trained(tmp_path / "run", document(hospitals=2, rounds=1))
    assert not _failed(run)
    (folder,) = (tmp_path / "vault").iterdir()
    folder.chmod(0o755)
    assert _failed(run)["modes"].startswith(f"{folder}: others can read or write it (mode 755); run: chmod -R go= ")
    folder.chmod(0o700)
    for elsewhere in (None, str(tmp_path / "another")):  # the ledger says where they lie
        monkeypatch.delenv("FEDLETHE_KEYS")
        if elsewhere is not None:
            monkeypatch.setenv("FEDLETHE_KEYS", elsewhere)
        assert not _failed(run)
        folder.chmod(0o755)
        assert str(folder) in _failed(run)["modes"]
        folder.chmod(0o700)
        (folder / "copy.key").write_bytes(b"?")
        (folder / "copy.key").chmod(0o600)
        assert f"{folder}/copy.key: is there" in _failed(run)["keys"]
        (folder / "copy.key").unlink()
        monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))


def test_keys_in_the_run_folder_are_known_where_new_ones_would_lie_elsewhere(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDLETHE_KEYS", str(tmp_path / "vault"))
    assert not _failed(run)
    (run / "keys" / "copy.key").write_bytes(b"?")
    assert "keys/copy.key: is there" in _failed(run)["keys"]


# What the ledger does not name

SOMEWHERE = (
    "model.safetensors",
    ".hidden",
    ".lock",
    "ledger.db-wal",
    "ledger.db.bak",
    "run.toml~",
    "notes",
    "global_checkpoints/round_0001.safetensors.old",
    "global_checkpoints/.x/.y/z",
    "influence/hospital-1/round_0001.sealed",
    "erasures/0001/copy.png",
    "erasures/certificate.json",
    "keys/hospital-1.0123456789abcdef.key",
    "keys/.k",
    "keys/deeper/hospital-0.key",
    "report/model.png",
    "report/model.csv",
    "report/0001/index.html",
    "report/.index.html",
    "a folder/b/c/d",
)


@pytest.mark.parametrize("what", ["model", "key", "influence"])
def test_a_copy_of_what_must_not_be_there_is_named_wherever_it_lies(what: str, made: Path, run: Path) -> None:
    source = {
        "model": made / "global_checkpoints/round_0000.safetensors",
        "key": min((made / "keys").glob("hospital-*.key")),
        "influence": min((made / "influence").rglob("*.sealed")),
    }[what]
    for name in SOMEWHERE:
        place = run / name
        before = place.read_bytes() if place.exists() else None
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        told = " ".join(check.words for check in verify_ledger(run).checks if check.result != "ok")
        assert name in told, name
        place.unlink(missing_ok=True)
        if before is not None:
            place.write_bytes(before)
    assert not [path for path in run.rglob("*") if path.is_file() and path.read_bytes() == source.read_bytes()][1:]


def _symlink(place: Path) -> None:
    place.symlink_to("/etc/hostname")


def _symlinked_folder(place: Path) -> None:
    place.symlink_to(place.parent.parent)  # a circle, which must not be walked


def _dangling(place: Path) -> None:
    place.symlink_to("nowhere")


@pytest.mark.parametrize("folder", ["", "keys", "report", "erasures/0001", "influence/hospital-0"])
@pytest.mark.parametrize("make", [_symlink, _symlinked_folder, _dangling, os.mkfifo])
def test_links_and_special_files_are_named_and_not_followed(
    make: Callable[[Path], None], folder: str, run: Path
) -> None:
    make(run / folder / "odd")
    assert str(run / folder / "odd") in _failed(run)["keys" if folder == "keys" else "strays"]


def test_every_unknown_file_is_listed_for_programs_too(run: Path) -> None:
    names = [f"influence/x{number}/y" for number in range(12)] + [".z", "keys/k.key", "report/r.bin"]
    for name in names:
        (run / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (run / name).write_bytes(b"?")
    done = CliRunner().invoke(app, ["ledger", "verify", str(run), "--json"], standalone_mode=False)
    assert isinstance(done.exception, FedletheError)
    told = json.loads(done.stdout)
    assert not told["holds"]
    words = " ".join(check["words"] for check in told["checks"] if check["result"] == "failed")
    assert [name for name in names if f"{run / name}:" not in words] == []


def test_the_pages_that_nobody_entered_are_listed_by_name(run: Path) -> None:
    (pages,) = (check for check in verify_ledger(run).checks if check.what == "pages")
    there = sorted(path.relative_to(run).as_posix() for path in (run / "report").rglob("*") if path.is_file())
    assert pages.result == "not checked"
    assert pages.words.partition(": ")[2].split(", ") == there
    assert "report/index.html" in there
    shutil.rmtree(run / "report")
    assert {check.what: check.result for check in verify_ledger(run).checks}["pages"] == "ok"


# Rows with valid hashes that fedlethe would not write

FILE = {"kind": "influence", "client": "a", "round": 1, "bytes": 1, "sha256": "0" * 64, "path": "influence/a/x.sealed"}
ROUND = {"round": 2, "evaluation": "null", "seconds": 0.0, "recording_seconds": 0.0}
REQUEST = {
    "id": "R0002",
    "clients": ["a"],
    "patients": {},
    "reason": "x",
    "by": "x",
    "legal_ground": "x",
    "deadline": "2026-01-01",
}
PLAN = {"method": "influence", "options": {}, "mask": {}, "repair": {}}


def _nothing(kind: str, body: dict[str, Any]) -> None:
    return None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("artefact", canonical({**FILE, "bytes": "1"})),
        ("artefact", canonical({**FILE, "bytes": 1.5})),
        ("artefact", canonical({**FILE, "bytes": True})),
        ("artefact", canonical({**FILE, "bytes": -1})),
        ("artefact", canonical({**FILE, "more": 1})),
        ("artefact", canonical({name: value for name, value in FILE.items() if name != "sha256"})),
        ("artefact", canonical({**FILE, "sha256": "0" * 63 + "g"})),
        ("artefact", canonical({**FILE, "kind": "trojan"})),
        ("artefact", canonical({**FILE, "path": ["influence/a/x"]})),
        ("round", canonical(ROUND).replace("0.0", "NaN", 1)),
        ("round", canonical(ROUND).replace("0.0", "Infinity", 1)),
        ("round", canonical(ROUND).replace("0.0", "1e999", 1)),
        ("round", canonical({**ROUND, "evaluation": "{"})),
        ("round", canonical({**ROUND, "evaluation": '{"auc":NaN}'})),
        ("round", canonical({**ROUND, "evaluation": "[" * 100_000})),
        ("round", canonical({**ROUND, "round": 2.0})),
        ("participation", canonical({"round": 1, "client": "a", "weight": "1"})),
        ("erasure", canonical({"id": "0002", "request": "no JSON"})),
        ("erasure", canonical({"id": "0002", "request": "[]"})),
        ("request", canonical({**REQUEST, "clients": "a"})),
        ("request", canonical({**REQUEST, "deadline": "soon"})),
        ("request", canonical({**REQUEST, "patients": {"a": "p"}})),
        ("state", canonical({"request": "R0001", "state": "exact"})),
        ("state", canonical({"request": "R0001", "state": "running", "plan": {**PLAN, "more": 1}})),
        ("state", canonical({"request": "R0001", "state": "running", "plan": {"method": "influence"}})),
        ("state", canonical({"request": "R0001", "state": "audited", "accepted": {"why": 1}})),
        ("state", canonical({"request": "R0001", "state": "audited", "hiding": [1]})),
        ("state", canonical({"request": "R0001", "state": "completed", "purge": "never"})),
        ("novel", "{}"),
        ("", "{}"),
        ("purge", "[]"),
        ("purge", "null"),
        ("purge", ""),
        ("purge", "[" * 100_000),
        ("removed", '{"because":"x", "path":"run.toml"}'),
        ("removed", '{"because":"x","path":"norms","path":"run.toml"}'),
        ("run", canonical({"id": "0" * 32, "format": 1})),
    ],
    ids=lambda text: text[:60],
)
def test_a_row_that_cannot_be_is_named_by_its_number(kind: str, body: str, run: Path) -> None:
    row = rechained(run, _nothing, (kind, body))
    with pytest.raises(FedletheError, match=rf"ledger\.db: row {row} ") as error:
        verify_ledger(run)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("at", ["", "soon", "9999-99-99T00:00:00+00:00", "2026-01-01T00:00:00", "2026-01-01"])
def test_a_row_that_was_written_at_no_time_is_named(at: str, run: Path) -> None:
    row = rechained(run, _nothing, ("key", canonical({"client": "a", "id": "0" * 16, "what": "made"})), at=at)
    with pytest.raises(FedletheError, match=rf"row {row} .*no time"):
        verify_ledger(run)
